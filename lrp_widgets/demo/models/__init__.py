"""Demo networks: each file has a `load()` that returns a trained nn.Module. To add one, name it in MODELS."""

# `digits_cnn` and `digits_mlp` are the functions from here on, not the files they live in.
from .digits_cnn import load as digits_cnn
from .digits_mlp import load as digits_mlp

__all__ = ["MODELS", "digits_cnn", "digits_mlp"]

MODELS = (digits_cnn, digits_mlp)
