"""The quality app: what an explanation is worth."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
