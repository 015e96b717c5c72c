"""Pins: explanations that are kept beside the present one, and in what they differ from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lrp_widgets.apps.session.reading import picture_of, stamp
from lrp_widgets.apps.session.settings import Given, Morph, Sample, Settings
from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.params import Setting, params_of
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import CompareView
from lrp_widgets.widgets.views.compare import MOST_PINS

__all__ = ["Pins", "described", "differing"]

LEFT_OUT = {"trail", "pins"}  # they change no picture


class Pins:
    """Keeps the maps of `Settings.pins` in a CompareView.

    change(**changes): replaces settings.  now(): those in force.
    """

    def __init__(self, samples: Samples, change: Callable[..., None], now: Callable[[], Settings]) -> None:
        self._samples, self._change, self._now = samples, change, now
        self.view = CompareView()
        self._maps: dict[Settings, tuple[np.ndarray, str]] = {}
        self._keys: dict[str, Settings] = {}
        self.view.observe(self._removed, "removed")
        self.view.observe(self._recalled, "recalled")

    def pin(self) -> None:
        """Pin the present settings. Raises ValueError where there are six already."""
        now = self._now()
        own = alone(now)
        if own in now.pins:
            return
        if len(now.pins) >= MOST_PINS:
            raise ValueError(f"At most {MOST_PINS} explanations can be pinned. Remove one of them first.")
        self._change(pins=(*now.pins, own))

    def missing(self, settings: Settings) -> Iterator[Settings]:
        """The pins whose maps are not known yet."""
        yield from (pin for pin in settings.pins if pin not in self._maps)

    def know(self, settings: Settings, explanation: Explanation) -> None:
        """Note the map of some settings, for they may be pinned."""
        self._maps[alone(settings)] = (picture_of(explanation, settings.layer, settings.channel), stamp(explanation))

    def show(self, settings: Settings, explanation: Explanation, image: np.ndarray | None) -> None:
        """Show the present map beside the pins. On the worker."""
        self.know(settings, explanation)
        wanted = {f"{hash(pin)}": pin for pin in settings.pins if pin in self._maps}
        for key in [key for key in self.view.pins if key not in wanted]:
            self.view.unpin(key)
        for number, (key, pin) in enumerate(wanted.items(), 1):
            if key not in self.view.pins:
                relevance, said = self._maps[pin]
                self.view.pin(relevance, said, f"{number} · {pin.method.title}", (), key)
        self._keys = wanted
        differs = {key: differing(pin, settings, self._samples) for key, pin in wanted.items()}
        relevance, said = self._maps[alone(settings)]
        self.view.show_present(relevance, said, image, differs=differs)
        for known in [known for known in self._maps if known not in settings.pins and known != alone(settings)]:
            del self._maps[known]

    def _removed(self, change: Any) -> None:
        if (pin := self._keys.get(change["new"].get("key"))) is not None:
            self._change(pins=tuple(known for known in self._now().pins if known != pin))

    def _recalled(self, change: Any) -> None:
        if (pin := self._keys.get(change["new"].get("key"))) is not None:
            fields = {field.name: getattr(pin, field.name) for field in dataclasses.fields(pin)}
            self._change(**{name: value for name, value in fields.items() if name not in LEFT_OUT})


def alone(settings: Settings) -> Settings:
    """The settings without what changes no picture."""
    return dataclasses.replace(settings, trail=(), pins=())


def differing(one: Settings, other: Settings, samples: Samples) -> list[str]:
    """In what the first differs from the second, a short line each: "α 2"."""
    first, second = described(one, samples), described(other, samples)
    return [f"{label} {said}" for label, said in first.items() if second.get(label) != said] or ["as the present one"]


def described(settings: Settings, samples: Samples) -> dict[str, str]:
    """The settings in words, by label."""
    target = settings.target
    said = {"sample": _sampled(settings.sample), "method": settings.method.title}
    composite = getattr(settings.method, "composite", None)
    if isinstance(composite, Composite):
        said["method"] = getattr(composite, "title", "") or said["method"]
    if isinstance(target, Contrast):
        said["class"] = f"{samples.name(target.a)} against {samples.name(target.b)}"
    else:
        said["class"] = "the top one" if target is None else samples.name(target)
    said["map"] = f"{settings.layer or 'the input'}{f', channel {settings.channel}' if settings.channel >= 0 else ''}"
    said |= _parameters(settings.method)
    filters = getattr(settings.method, "filters", ())
    return said | ({"filter": ", ".join(known.layer for known in filters)} if filters else {})


def _parameters(setting: Setting, prefix: str = "") -> dict[str, str]:
    found = {f"{prefix}{known.label}": _written(getattr(setting, known.name)) for known in params_of(setting)}
    for field in dataclasses.fields(setting):
        inner = getattr(setting, field.name)
        if isinstance(inner, Setting) and field.init:
            name = "" if isinstance(inner, Composite) else f"{field.name} "
            found |= {f"{field.name} rule": type(inner).__name__} if name else {}
            found |= _parameters(inner, name)
    return found


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " to ".join(f"{part:.2f}" for part in value) if isinstance(value, tuple) else str(value)


def _sampled(sample: Sample) -> str:
    if isinstance(sample, int):
        return str(sample)
    if isinstance(sample, Morph):
        return f"{_sampled(sample.start)} → {sample.stop}, {sample.share:.0%}"
    return sample.said.partition(":")[0] if isinstance(sample, Given) else "drawn"
