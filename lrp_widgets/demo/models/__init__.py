"""Demo networks: each file has a `load()` that returns a trained nn.Module. To add one, name it in MODELS."""

# `digits_cnn` and the others are the functions from here on, not the files they live in.
from .digits_cnn import load as digits_cnn
from .digits_mlp import load as digits_mlp
from .faces_cnn import load as faces_cnn
from .photos_cnn import load as photos_cnn

__all__ = ["MODELS", "digits_cnn", "digits_mlp", "faces_cnn", "photos_cnn"]

MODELS = (digits_cnn, digits_mlp, faces_cnn, photos_cnn)
