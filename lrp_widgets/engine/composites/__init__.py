"""Which rule at which layer: composites, and the presets of the literature."""
