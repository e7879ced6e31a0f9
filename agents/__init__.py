"""Pure decisions: strategies and what they are made of."""
