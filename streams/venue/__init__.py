"""The venue model: a matching engine on ticks, as a broker's server runs one. The simulated terminal has it too."""
