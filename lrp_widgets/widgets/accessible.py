"""Adds to the controls of ipywidgets what keyboard users and assistive technology need."""

from __future__ import annotations

import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style

__all__ = ["accessible"]


class _Accessible(BrowserWidget):
    """Shows nothing; in the browser it mends the controls in the same box, also those that are added later."""

    _esm = module("accessible")
    _css = style("accessible")

    within = traitlets.Unicode("").tag(sync=True)  # A part of the box, as a CSS selector; "" for all of it.


def accessible(within: str = "") -> BrowserWidget:
    """An invisible child for a box, that mends the controls of ipywidgets in the box, or in the part of it `within`.

    Sliders, their numbers and lists without a label get names, toggle buttons say whether they are pressed, the focus
    is seen, and the head of an Accordion can be reached and opened by keyboard.
    """
    return _Accessible(within=within, layout={"display": "none"})
