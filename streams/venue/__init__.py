"""The venue model: a matching engine on ticks, as a broker's server runs one. Pure; the simulated terminal's too."""
