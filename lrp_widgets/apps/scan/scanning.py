"""Scanning: what is asked of a photo, as one frozen value; and the controls that ask it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor

from lrp_widgets.apps.scan.photos import Photo, PhotoSource, photo_of
from lrp_widgets.apps.session.app import against, heading
from lrp_widgets.apps.session.offered import OWN, choices
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.target import Contrast, contrast
from lrp_widgets.methods import LRP, Method
from lrp_widgets.methods.sliding_window import cut_window
from lrp_widgets.params import Setting, param, params_of, span, switch
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import Control, MethodPicker
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Controls", "Scanning", "Subject", "Windows"]

MOST_CLASSES = 1000  # offered by name


@dataclass(frozen=True)
class Windows(Setting):
    """Which windows are taken of a photo."""

    stride: int = param(6, low=1, high=4096, unit="px", help="From window to window, in pixels of the network's input.")
    window: tuple[float, float] = span(
        (0.15, 0.25),
        low=0.05,
        high=1.0,
        step=0.01,
        unit="%",
        help="How large windows are in the photo, from the smallest to the largest: parts of its shorter side.",
    )
    sizes: int = param(3, low=1, high=8, help="How many sizes of windows from the smallest to the largest.")
    only_top: bool = switch(
        True, symbol="only where it is the top class", help="A window counts 0 where another class scores higher."
    )

    def sides(self, photo: Tensor) -> list[float]:
        """The side of each size of windows in pixels of the photo: even on a log scale."""
        shorter = min(photo.shape[2:])
        low, high = self.window
        if self.sizes == 1 or low == high:
            return [shorter * (low * high) ** 0.5]
        return (shorter * np.geomspace(low, high, self.sizes)).tolist()

    def scales(self, photo: Tensor, side: int) -> tuple[float, ...]:
        """The same as scales of the photo, for lw.sliding_window."""
        return tuple(side / length for length in self.sides(photo))


@dataclass(frozen=True)
class Scanning:
    """photo, method, windows, and target against another class (-1: none; a target of None is the top class).

    subject: by name.  chosen: which of the best windows is looked into.  halted: no finer maps are asked for.
    """

    subject: str
    method: Method
    photo: Photo = 0
    windows: Windows = field(default_factory=Windows)
    target: int | None = None
    against: int = -1
    chosen: int = 0
    halted: bool = False

    @property
    def key(self) -> Scanning:
        """What the maps depend on."""
        return dataclasses.replace(self, chosen=0, halted=False)

    @property
    def explained(self) -> int | Contrast | None:
        """Raises ValueError where a class is set against itself."""
        return self.target if self.target is None or self.against < 0 else contrast(self.target, self.against)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, the side of its input, photos for it, and what to begin with."""

    name: str
    explainer: Explainer
    photos: tuple[Samples, ...]
    side: int
    first: Scanning

    def classes(self) -> int:
        """How many classes there are; none where the model cannot say yet."""
        with suppress(Exception):  # whatever is wrong, the first map says it
            x = self.photos[0].inputs
            side = min(x.shape[2:])
            return min(MOST_CLASSES, self.explainer.scores(cut_window(x, (0, 0, side, side), self.side))[0].numel())
        return 0


class Controls(ipywidgets.VBox):
    """Everything that can be asked of one subject. `change(**fields)` is called with what was moved."""

    def __init__(self, subject: Subject, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.subject, self._change = subject, change
        self._bringing = False
        photos, classes = subject.photos, subject.classes()
        self.source = PhotoSource(photos)
        offered = [(name, method) for name, method in choices(photos[0]) if name != OWN]
        self.methods = MethodPicker(offered)
        names = [(photos[0].name(index), index) for index in range(classes)]
        known: dict[str, Any] = {"style": {"description_width": "76px"}, "layout": {"width": "auto"}}
        self.target = guard(
            ipywidgets.Dropdown(
                options=[("top", -1), *names],
                description="class",
                tooltip="What is looked for; top: the class with the highest mean score over the first windows.",
                **known,
            ),
            tell,
        )
        self.against = guard(against(classes, photos[0].name), tell)
        self.windows = {param.name: self._control(param, subject.first.windows) for param in params_of(Windows)}
        super().__init__(
            [
                heading("Photo"), self.source,
                heading("Class"), self.target, self.against, self.windows["only_top"],
                heading("Windows"), *(self.windows[name] for name in ("stride", "window", "sizes")),
                heading("Method"), self.methods, accessible(),
            ]
        )  # fmt: skip
        self.add_class("lrp-left").add_class("lrp-scan-left")
        self.source.observe(lambda event: self._moved(photo=event["new"]), "value")
        self.methods.observe(lambda event: self._moved(method=event["new"]), "value")
        self.target.observe(lambda event: self._moved(target=None if event["new"] < 0 else event["new"]), "value")
        self.against.observe(lambda event: self._moved(against=event["new"]), "value")
        for control in self.windows.values():
            control.observe(self._windows_moved, "value")
        for part in (self.source, self.methods, *self.windows.values()):
            part.observe(lambda event: tell(event["new"]), "problem")
        self.bring(subject.first)

    def bring(self, asked: Scanning) -> None:
        """Bring the controls to what is asked; nothing is called for that."""
        self._bringing = True
        try:
            self.source.value, self.methods.value = asked.photo, asked.method
            for picker, which in ((self.target, asked.target), (self.against, asked.against)):
                offered = [index for _, index in picker.options]
                picker.value = which if which in offered else -1  # one that the model does not have is told by the map
            for name, control in self.windows.items():
                control.value = getattr(asked.windows, name)
        finally:
            self._bringing = False
        self.say(asked)

    def say(self, asked: Scanning) -> None:
        """What follows from the present settings, beside the controls."""
        self.against.disabled = asked.target is None
        photo, side = photo_of(asked.photo, self.subject.photos), self.subject.side
        sides = asked.windows.sides(photo)
        self.windows["window"].note(f"{said_range(sides)} px of {photo.shape[3]} × {photo.shape[2]}")
        steps = [asked.windows.stride * length / side for length in sides]
        self.windows["stride"].note(f"px of {side}: {said_range(steps)} of the photo")

    def _control(self, known: Any, windows: Windows) -> Control:
        if known.name == "stride":
            known = dataclasses.replace(known, high=self.subject.side, slider=(1, self.subject.side))
        control = Control(known, getattr(windows, known.name), "Windows")
        if known.name == "window":
            control.inner.readout_format = ".0%"
        return control

    def _windows_moved(self, event: Any) -> None:
        self._moved(windows=Windows(**{name: control.value for name, control in self.windows.items()}))

    def _moved(self, **fields: Any) -> None:
        if not self._bringing:
            self._change(**fields)


def said_range(values: list[float]) -> str:
    """The ends of some numbers, whole: 78 to 128."""
    ends = [f"{value:.0f}" if value >= 9.5 else f"{value:.2g}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(ends))


def default_method(samples: Samples) -> Method:
    """The first method that the controls offer."""
    return next((method for name, method in choices(samples) if name != OWN), LRP())
