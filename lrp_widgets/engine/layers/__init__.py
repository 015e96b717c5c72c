"""Affine layers: what a rule works on, and how they are computed fast."""
