"""Arrangement: where the parts of the explore app are. Controls left, pictures in the middle, layers right."""

from __future__ import annotations

from typing import Any

import ipywidgets

from lrp_widgets.apps.session.app import column, grid
from lrp_widgets.widgets import Folded, Pages
from lrp_widgets.widgets.controls.resettable import Resettable

__all__ = ["arranged", "details", "region_buttons", "views"]


def views(dashboard: Any) -> Pages:
    """What stands under the picture."""
    pages = Pages(
        {
            "Curve": dashboard.curve,
            "Compare": dashboard.pins.view,
            "Arithmetic": dashboard.inspection.arithmetic,
            "Patches": dashboard.patches.view,
            "Prototype": dashboard.sought.view,
        },
        {
            "Curve": "Pixel flipping: how fast the score falls as the most relevant pixels go",
            "Compare": "Pinned explanations beside the present one, on one scale",
            "Arithmetic": "Click a pixel: every number of its relevance",
            "Patches": "What the chosen channel answers most, in all samples",
            "Prototype": "What the chosen class, or the chosen channel, looks for (lw.imagine shows more)",
        },
    )
    pages.add_class("lrp-views")
    return pages


def region_buttons() -> tuple[ipywidgets.Button, ipywidgets.Button]:
    """Keep and block what lies inside of a region; disabled until a layer with maps is shown."""
    keep, block = (
        ipywidgets.Button(
            description=f"{word} region",
            tooltip=f"{word.title()} what lies inside of the region drawn on the map of a hidden layer",
            disabled=True,
        )
        for word in ("keep", "block")
    )
    return keep, block


def details(dashboard: Any) -> Pages:
    """What stands under the layers."""
    keep, block = dashboard.region_buttons
    keep.on_click(lambda _: dashboard.filter_region(block=False))
    block.on_click(lambda _: dashboard.filter_region(block=True))
    foot = ipywidgets.HBox([keep, block])
    foot.add_class("lrp-foot")
    pages = Pages(
        {
            "Rules": ipywidgets.VBox([dashboard.equation]),
            "Composite": dashboard.composite,
            "Channels": ipywidgets.VBox([dashboard.inspection.channels, foot]),
            "Doctor": dashboard.doctor,
        },
        {
            "Rules": "The equations in force, with their numbers",
            "Composite": "A rule for the lower, the middle and the upper layers, and for any single one",
            "Channels": "The channels of the layer that is chosen above; keep or block some",
            "Doctor": "What in this model makes its explanations less than they could be",
        },
    )
    pages.add_class("lrp-details")
    return pages


def arranged(dashboard: Any) -> list[ipywidgets.Widget]:
    """The children of the dashboard, from the top down."""
    left = column(
        "lrp-left",
        "Input",
        dashboard.source,
        "Class",
        dashboard.classes,
        Resettable(dashboard.against, "Reset against to nothing"),
        "Method",
        dashboard.methods,
    )
    look = Folded("look", dashboard.look)
    middle = column("lrp-middle", dashboard.heatmap, dashboard.projection.row, look, dashboard.views)
    right = column("lrp-right", "Layers", dashboard.layers, dashboard.details)
    head = ipywidgets.Box([dashboard.toolbar, dashboard.sharebar])
    head.add_class("lrp-head")
    return [head, grid(left, middle, right), dashboard.status]
