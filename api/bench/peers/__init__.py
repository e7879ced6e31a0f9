"""The rule in other programs, and the judge of them all; their scripts run in environments of their own."""
