"""What every app has: its settings, what it offers, how it puts results into words, cores and memory."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
