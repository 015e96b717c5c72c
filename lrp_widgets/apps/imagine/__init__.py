"""The app that shows what a network looks for: prototypes that move under the hand."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
