"""Receptive fields: which inputs a neuron depends on, and where they lie."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
