"""Demo generators: each file has a `load()` that returns a decoder of codes. To add one, name it in GENERATORS."""

# `digits_vae` is the function from here on, not the file it lives in.
from lrp_widgets.demo.generators.digits_vae import load as digits_vae

__all__ = ["GENERATORS", "digits_vae"]

GENERATORS = (digits_vae,)
