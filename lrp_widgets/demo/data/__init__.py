"""Demo data: each file has a `load()` that returns Samples. To add a data set, write one file and name it in DATA."""

# `digits` is the function from here on, not the file it lives in.
from .digits import load as digits

__all__ = ["DATA", "digits"]

DATA = (digits,)
