"""Where an input comes from: the gallery, the drawing pad, a file."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
