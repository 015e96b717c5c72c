"""Toolbar: buttons for what concerns the whole app, each with a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style

__all__ = ["Toolbar"]

FIELDS = {"name", "label", "tooltip", "keys", "group"}


class Toolbar(BrowserWidget):
    """A row of buttons. Their keys work anywhere inside the app that the toolbar stands in, except in a field of text.

    A last button, and the key ?, list all keys: those of the buttons, and `more_keys`, what else the app has.
    Observe `pressed`, or give `on_press` a function of the button's name.
    """

    _esm = module("toolbar")
    _css = style("toolbar")

    buttons = traitlets.List(traitlets.Dict()).tag(sync=True)  # {name, label, tooltip, keys: ["mod+z", …], group}.
    disabled = traitlets.List(traitlets.Unicode()).tag(sync=True)  # The names of the buttons that do nothing now.
    more_keys = traitlets.List(traitlets.Tuple(traitlets.Unicode(), traitlets.Unicode())).tag(
        sync=True
    )  # (key, what it does).
    pressed = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The last button pressed, {name, count}.
    title = traitlets.Unicode("").tag(sync=True)  # Stands at the left, first word bold.
    description = traitlets.Unicode("Actions").tag(sync=True)  # The toolbar's name for assistive technology.

    def __init__(self, buttons: Sequence[Mapping[str, Any]] = (), title: str = "", **kwargs: Any) -> None:
        """buttons: {name, label, tooltip} each, `keys` such as ["mod+z"] (Ctrl, or ⌘ on a Mac), and `group`."""
        for button in buttons:
            if unknown := set(button) - FIELDS:
                raise ValueError(
                    f"Toolbar: a button must have fields among {', '.join(sorted(FIELDS))}, got {unknown}."
                )
        super().__init__(buttons=[dict(button) for button in buttons], title=title, **kwargs)

    def on_press(self, act: Callable[[str], None]) -> None:
        """Call `act(name)` when a button is pressed or its key struck."""
        self.observe(lambda change: act(change["new"]["name"]) if change["new"] else None, "pressed")

    @traitlets.validate("pressed")
    def _check_pressed(self, proposal: Any) -> Any:
        value = proposal["value"]
        names = [button["name"] for button in self.buttons]
        if value and (set(value) != {"name", "count"} or value["name"] not in names):
            raise traitlets.TraitError(f"Toolbar.pressed must be the name of a button and a count, got {value!r}.")
        if value and value["name"] in self.disabled:
            raise traitlets.TraitError(f"Toolbar.pressed: {value['name']!r} is disabled now.")
        return value
