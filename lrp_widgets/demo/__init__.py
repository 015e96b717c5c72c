"""Small networks and real data that come with the package: `demo.models` and `demo.data`, ready offline."""

from lrp_widgets.demo import data, models

__all__ = ["data", "models"]
