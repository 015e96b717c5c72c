"""Relevance from the output down to the input, with the ledger of what each step kept."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
