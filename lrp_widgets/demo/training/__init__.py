"""The scripts that trained the demo's networks."""
