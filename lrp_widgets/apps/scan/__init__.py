"""The scan app: a network's windows over pictures larger than its input."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
