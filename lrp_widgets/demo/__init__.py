"""Small networks and real data that come with the package: `demo.models` and `demo.data`, ready offline."""

from . import data, models

__all__ = ["data", "models"]
