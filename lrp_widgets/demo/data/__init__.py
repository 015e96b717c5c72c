"""Demo data: each file has a `load()` that returns Samples. To add a data set, write one file and name it in DATA."""

# `digits`, `faces` and `photos` are the functions from here on, not the files they live in.
from .digits import load as digits
from .faces import load as faces
from .photos import load as photos

__all__ = ["DATA", "digits", "faces", "photos"]

DATA = (digits, faces, photos)
