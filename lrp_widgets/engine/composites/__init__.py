"""Which rule at which layer: composites, and the presets of the literature."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
