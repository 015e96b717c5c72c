"""Pins: explanations that are kept beside the present one, and in what they differ from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lrp_widgets.apps.session.formatting import class_text, number, picture_of, stamp
from lrp_widgets.apps.session.settings import Given, Morph, Sample, Settings, existing
from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.methods import LRP
from lrp_widgets.params import Param, Setting, params_of
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import CompareView
from lrp_widgets.widgets.views.compare import MOST_PINS

__all__ = ["Pins", "description", "differences"]

WITHOUT_PICTURE = {"trail", "pins"}  # fields that change no picture


class Pins:
    """Keeps the maps of `Settings.pins` in a CompareView.

    change(**changes): replaces settings.  present(): those in force.
    """

    def __init__(self, samples: Samples, change: Callable[..., None], present: Callable[[], Settings]) -> None:
        self._samples, self._change, self._present = samples, change, present
        self.view = CompareView()
        self._maps: dict[Settings, tuple[np.ndarray, str]] = {}
        self._keys: dict[str, Settings] = {}
        self.view.observe(self._removed, "removed")
        self.view.observe(self._recalled, "recalled")

    def pin(self) -> None:
        """Pin the present settings. Raises ValueError where there are six already."""
        present = self._present()
        pin = pinnable(present)
        if pin in present.pins:
            return
        if len(present.pins) >= MOST_PINS:
            raise ValueError(f"At most {MOST_PINS} explanations can be pinned. Remove one of them first.")
        self._change(pins=(*present.pins, pin))

    def missing(self, settings: Settings) -> Iterator[Settings]:
        """The pins whose maps are still to be made."""
        yield from (pin for pin in settings.pins if pinnable(pin) not in self._maps)

    def add(self, settings: Settings, explanation: Explanation) -> None:
        """Keep the map of some settings, which are pinned or may be."""
        shown = existing(settings, explanation)
        self._maps[pinnable(settings)] = (picture_of(explanation, shown.layer, shown.channel), stamp(explanation))

    def miss(self, settings: Settings, error: Exception) -> None:
        """Keep an empty map of some pinned settings that cannot be explained, with the reason as its caption."""
        self._maps[pinnable(settings)] = (np.zeros((1, 1)), f"No map: {error.args[0] if error.args else error}")

    def show(self, settings: Settings, explanation: Explanation, image: np.ndarray | None) -> None:
        """Show the present map beside the pins; to be called on the worker."""
        self.add(settings, explanation)
        wanted = {f"{hash(pin)}": pin for pin in settings.pins if pinnable(pin) in self._maps}
        for key in [key for key in self.view.pins if key not in wanted]:
            self.view.unpin(key)
        for place, (key, pin) in enumerate(wanted.items(), 1):
            if key not in self.view.pins:
                relevance, caption = self._maps[pinnable(pin)]
                self.view.pin(relevance, caption, f"{place} · {pin.method.title}", (), key)
        self._keys = wanted
        differs = {key: differences(pin, settings, self._samples) for key, pin in wanted.items()}
        present = pinnable(settings)
        relevance, caption = self._maps[present]
        self.view.show_present(relevance, caption, image, differs=differs)
        needed = {present, *map(pinnable, settings.pins)}
        self._maps = {each: shown for each, shown in self._maps.items() if each in needed}

    def _removed(self, change: Any) -> None:
        if (pin := self._keys.get(change["new"].get("key"))) is not None:
            self._change(pins=tuple(other for other in self._present().pins if other != pin))

    def _recalled(self, change: Any) -> None:
        if (pin := self._keys.get(change["new"].get("key"))) is not None:
            fields = {field.name: getattr(pin, field.name) for field in dataclasses.fields(pin)}
            self._change(**{name: value for name, value in fields.items() if name not in WITHOUT_PICTURE})


def pinnable(settings: Settings) -> Settings:
    """The settings as they are pinned: without the fields that change no picture."""
    if not isinstance(settings.method, LRP):  # it has no relevance of hidden layers: the input's map is shown
        settings = dataclasses.replace(settings, layer="", channel=settings.channel if not settings.layer else -1)
    return dataclasses.replace(settings, trail=(), pins=())


def differences(one: Settings, other: Settings, samples: Samples) -> list[str]:
    """In what the first differs from the second, a short line each: "α 2"."""
    first, second = description(one, samples), description(other, samples)
    return [f"{label} {text}" for label, text in first.items() if second.get(label) != text] or ["as the present one"]


def description(settings: Settings, samples: Samples) -> dict[str, str]:
    """The settings in words, by label."""
    target = settings.target
    texts = {"sample": _sample_text(settings.sample), "method": settings.method.title}
    composite = getattr(settings.method, "composite", None)
    if isinstance(composite, Composite):
        texts["method"] = getattr(composite, "title", "") or texts["method"]
    texts["class"] = "the top one" if target is None else class_text(target, samples.name)
    texts["map"] = f"{settings.layer or 'the input'}{f', channel {settings.channel}' if settings.channel >= 0 else ''}"
    texts |= _parameters(settings.method)
    filters = getattr(settings.method, "filters", ())
    return texts | ({"filter": ", ".join(filter_.layer for filter_ in filters)} if filters else {})


def _parameters(setting: Setting, prefix: str = "") -> dict[str, str]:
    texts = {f"{prefix}{param.label}": _value_text(param, getattr(setting, param.name)) for param in params_of(setting)}
    for field in dataclasses.fields(setting):
        inner = getattr(setting, field.name)
        if isinstance(inner, Setting) and field.init:
            name = "" if isinstance(inner, Composite) else f"{field.name} "
            texts |= {f"{field.name} rule": type(inner).__name__} if name else {}
            texts |= _parameters(inner, name)
    return texts


def _value_text(param: Param, value: Any) -> str:
    """A value as the control of its parameter shows it."""
    if param.kind == "choice" and param.labels and value in param.choices:
        return param.labels[param.choices.index(value)]
    if value is None or isinstance(value, bool):
        return {None: "none", True: "on", False: "off"}[value]
    if isinstance(value, float):
        return number(value, 4)
    return " to ".join(f"{part:.2f}" for part in value) if isinstance(value, tuple) else str(value)


def _sample_text(sample: Sample) -> str:
    if isinstance(sample, int):
        return str(sample)
    if isinstance(sample, Morph):
        return f"{_sample_text(sample.start)} → {sample.stop}, {sample.share:.0%}"
    return sample.said.partition(":")[0] if isinstance(sample, Given) else "drawn"
