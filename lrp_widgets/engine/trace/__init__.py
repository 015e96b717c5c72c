"""A model run, written down: every ATen step that depends on the input, and the values between the steps."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
