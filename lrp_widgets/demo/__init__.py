"""Small networks, generators, experts and real data that come with the package: ready offline."""

from lrp_widgets.demo import data, experts, generators, models

__all__ = ["data", "experts", "generators", "models"]
