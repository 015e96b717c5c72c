"""LookEditor: how the picture is shown; none of it asks the engine or sends the numbers again."""

from __future__ import annotations

from functools import partial
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.widgets.control import guard
from lrp_widgets.widgets.heatmap import ARRANGEMENTS, COLORMAPS, HeatmapView
from lrp_widgets.widgets.layers import LayersView

__all__ = ["LookEditor"]

_NAMES = {"overlay": "over the input", "beside": "beside the input", "heatmap": "heatmap", "image": "input"}


class LookEditor(ipywidgets.Box):
    """Arrangement, colours, clip and opacity of a HeatmapView.

    problem: why a move was refused, "" at first.
    """

    problem = traitlets.Unicode("")

    def __init__(self, heatmap: HeatmapView, layers: LayersView | None = None) -> None:
        said: dict[str, Any] = {"style": {"description_width": "initial"}, "layout": {"width": "auto"}}
        options = [(_NAMES[name], name) for name in ARRANGEMENTS]
        self.arrangement = ipywidgets.Dropdown(
            options=options, value=heatmap.arrangement, description="show", tooltip="What stands where", **said
        )
        self.colormap = ipywidgets.Dropdown(
            options=COLORMAPS,
            value=heatmap.colormap,
            description="colours",
            tooltip="Positive and negative hue",
            **said,
        )
        self.percentile = ipywidgets.FloatSlider(
            heatmap.percentile, min=90, max=100, step=0.1, readout_format=".1f", description="clip at %",
            tooltip="The colours end at this percentile of |R|", **said,
        )  # fmt: skip
        self.opacity = ipywidgets.FloatSlider(
            heatmap.opacity, min=0, max=1, step=0.05, readout_format=".2f", description="opacity",
            tooltip="Of the heatmap over the input", **said,
        )  # fmt: skip
        self._links = [
            ipywidgets.jslink((self.percentile, "value"), (heatmap, "percentile")),
            ipywidgets.jslink((self.opacity, "value"), (heatmap, "opacity")),
        ]
        # A drop-down has no value in the browser, only an index: these two take the way through Python.
        for control, name, views in (
            (self.arrangement, "arrangement", (heatmap,)),
            (self.colormap, "colormap", (heatmap, layers)),
        ):
            control.observe(partial(_pass_on, name, [view for view in views if view is not None]), "value")
        controls = [self.arrangement, self.colormap, self.percentile, self.opacity]
        super().__init__([guard(control, self._tell) for control in controls])
        self.add_class("lrp-look")

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake twice is told twice
        self.problem = problem


def _pass_on(name: str, views: list[HeatmapView | LayersView], change: Any) -> None:
    for view in views:
        with view.one_message():
            setattr(view, name, change["new"])
