"""The scan app: a network's windows over pictures larger than its input."""
