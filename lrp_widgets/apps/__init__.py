"""Apps: wiring only."""
