"""Demo data: each file has a `load()` that returns Samples. To add a data set, write one file and name it in DATA."""

# `digits`, `faces` and `photos` are the functions from here on, not the files they live in.
from lrp_widgets.demo.data.digits import load as digits
from lrp_widgets.demo.data.faces import load as faces
from lrp_widgets.demo.data.photos import load as photos

__all__ = ["DATA", "digits", "faces", "photos"]

DATA = (digits, faces, photos)
