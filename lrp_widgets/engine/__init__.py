"""The live explainer: torch only, reads like the paper."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
