"""Affine layers: what a rule works on, and how they are computed fast."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
