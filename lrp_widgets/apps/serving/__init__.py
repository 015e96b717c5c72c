"""Serve an app's notebook with Voila."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
