"""The explore app: one decision, explained live."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
