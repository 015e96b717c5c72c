"""The explore app: one decision, explained live."""
