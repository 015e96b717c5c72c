"""LookEditor: how the picture is shown; none of it asks the engine or sends the numbers again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard
from lrp_widgets.widgets.controls.resettable import Resettable
from lrp_widgets.widgets.views.heatmap import ARRANGEMENTS, COLORMAPS, SIGNS, HeatmapView
from lrp_widgets.widgets.views.layers import LayersView

__all__ = ["LookEditor"]

_SHOWN = {
    "overlay": "overlay",
    "beside": "side by side",
    "heatmap": "heatmap",
    "image": "input",
    "mask": "input × |R|",
}
_SIGNS = {
    "symmetric": "one scale",
    "separate": "two scales",
    "positive": "positive",
    "negative": "negative",
}
_STYLE = {"description_width": "54px"}
_AUTO = {"width": "auto", "min_width": "0"}


class LookEditor(ipywidgets.Box):
    """Arrangement, colours, signs, clip, opacity and scale of a HeatmapView, in two columns where there is room.

    problem: why a move was refused, "" at first.
    """

    problem = traitlets.Unicode("")

    def __init__(self, heatmap: HeatmapView, layers: LayersView | None = None) -> None:
        self._heatmap = heatmap
        self._colours = [view for view in (heatmap, layers) if view is not None]
        self.arrangement = ipywidgets.Dropdown(
            options=[(_SHOWN[name], name) for name in ARRANGEMENTS],
            value=heatmap.arrangement,
            description="show",
            tooltip="Where relevance and input stand; the last one is x ⊙ |R| / max|R|, bright where it counts.",
            style=_STYLE,
            layout=_AUTO,
        )
        self.colormap = ipywidgets.Dropdown(
            options=COLORMAPS,
            value=heatmap.colormap,
            description="colours",
            tooltip="The hues of positive and of negative relevance, zero in the middle.",
            style=_STYLE,
            layout=_AUTO,
        )
        self.signs = ipywidgets.Dropdown(
            options=[(_SIGNS[name], name) for name in SIGNS],
            value=heatmap.signs,
            description="signs",
            tooltip="One scale around zero, one for each sign, or relevance of one sign alone.",
            style=_STYLE,
            layout=_AUTO,
        )
        self.percentile = _slider(
            heatmap.percentile,
            "clip %",
            "The colours end at this percentile of |R|: q% of |Rⱼ| lie below the end.",
            90,
            100,
            0.1,
            ".1f",
        )
        self.opacity = _slider(
            heatmap.opacity,
            "opacity",
            "How opaque the heatmap lies over the input: colour = opacity · heatmap + (1 − opacity) · input.",
            0,
            1,
            0.05,
            ".2f",
        )
        self.pixelated = _toggle(
            heatmap.pixelated, "pixels", "Draw square pixels; when off, the picture is smoothed between them."
        )
        self.locked = _toggle(
            bool(heatmap.locked), "lock scale", "Keep the numbers of the colour bar for all pictures that follow."
        )
        self.restore = ipywidgets.Button(
            description="reset", tooltip="Bring back the look that the picture started with.", layout=_AUTO
        )
        choices = {"arrangement": self.arrangement, "colormap": self.colormap, "signs": self.signs}
        linked = {"percentile": self.percentile, "opacity": self.opacity, "pixelated": self.pixelated}
        self._controls = choices | linked
        self._started = {name: getattr(heatmap, name) for name in self._controls}
        self._links = [ipywidgets.jslink((control, "value"), (heatmap, name)) for name, control in linked.items()]
        # In the browser a drop-down has only an index, no value: these are linked through Python.
        for name, control in choices.items():
            control.observe(lambda change, name=name: self._pass_on(name, change["new"]), "value")
            heatmap.observe(lambda change, control=control: setattr(control, "value", change["new"]), name)
        self.locked.observe(self._switch_lock, "value")
        self.restore.on_click(lambda _: self.reset())
        foot = ipywidgets.HBox(_guarded([self.pixelated, self.locked, self.restore], self._tell), layout=_FOOT)
        rows = [
            Resettable(guard(control, self._tell), f"Reset {control.description} to {_text_of(control)}")
            for control in (self.arrangement, self.colormap, self.signs, self.percentile, self.opacity)
        ]
        super().__init__([*rows, foot, accessible()], layout=_GRID)
        self.add_class("lrp-look")
        self._enable()

    def reset(self) -> None:
        """Bring back the look that the picture had when this editor was made, and let go of the scale."""
        with self._heatmap.one_message():
            for name, value in self._started.items():
                setattr(self._heatmap, name, value)
        for name, value in self._started.items():
            self._controls[name].value = value
        self.locked.value = False

    def _pass_on(self, name: str, value: Any) -> None:
        self._enable()
        for view in self._colours if name == "colormap" else [self._heatmap]:
            with view.one_message():
                setattr(view, name, value)

    def _switch_lock(self, change: Any) -> None:
        if change["new"]:
            self._heatmap.lock()
        else:
            self._heatmap.release()
        self.locked.value = bool(self._heatmap.locked)  # a blank picture has no scale to keep
        self._enable()

    def _enable(self) -> None:
        """Disable the controls that would change nothing."""
        self.opacity.disabled = self.arrangement.value != "overlay"
        self.percentile.disabled = bool(self._heatmap.locked)

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake is reported again when it is repeated
        self.problem = problem


_GRID = {"display": "grid", "grid_template_columns": "repeat(auto-fit, minmax(180px, 1fr))", "grid_gap": "0 12px"}
_FOOT = {"align_items": "center", "min_width": "0"}


def _slider(
    value: float, label: str, tooltip: str, low: float, high: float, step: float, readout_format: str
) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(
        value, min=low, max=high, step=step, readout_format=readout_format, description=label, tooltip=tooltip,
        style=_STYLE, layout=_AUTO,
    )  # fmt: skip


def _text_of(control: Any) -> str:
    """What a control shows, in words."""
    return (
        str(control.label)
        if isinstance(control, ipywidgets.Dropdown)
        else format(control.value, control.readout_format)
    )


def _toggle(value: bool, label: str, tooltip: str) -> ipywidgets.ToggleButton:
    return ipywidgets.ToggleButton(value, description=label, tooltip=tooltip, layout=_AUTO)


def _guarded(controls: Iterable[Any], tell: Any) -> list[Any]:
    return [guard(control, tell) for control in controls]
