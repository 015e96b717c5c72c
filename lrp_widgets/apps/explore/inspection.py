"""Inspection: the channels of the chosen layer, what a filter lets through, and the arithmetic of a neuron."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.session.reading import channel_maps, folded_shape, numbers_of
from lrp_widgets.apps.session.settings import Pixel, Settings
from lrp_widgets.engine.analysis.neuron import Arithmetic, Calculator, Neuron
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.methods import LRP
from lrp_widgets.widgets import ArithmeticView, ChannelsView

__all__ = ["Inspection", "neuron_at", "region_filters", "unfiltered", "with_filters"]

MOST_CHANNELS = 12
MOST_MESSAGES = 10
AXES = {1: ("neuron",), 2: ("token", "feature"), 3: ("channel", "row", "column")}


class Inspection:
    """Fills ChannelsView and ArithmeticView from an explanation; what is done there asks for other settings.

    change(**changes): replaces settings.  shown(): whether what changes in a view is no hand's doing.
    Everything named `show…` runs on the worker.
    """

    def __init__(self, explainer: Explainer, change: Callable[..., None], shown: Callable[[], bool]) -> None:
        self.explainer, self._change, self._shown = explainer, change, shown
        self.channels, self.arithmetic = ChannelsView(), ArithmeticView()
        self._settings: Settings | None = None
        self._leads: list[Neuron | None] = []  # where each row leads
        self._turned: Neuron | None = None  # and the other direction
        self._place: tuple[str, tuple[int, ...]] | None = None  # the neuron in sight, as a filter names it
        self.channels.observe(self._chosen, "selected")
        self.channels.observe(self._filtered, ["kept", "blocked"])
        self.channels.observe(lambda _: self._refilter(region=True), "cleared")
        self.arithmetic.observe(self._stepped, "stepped")
        self.arithmetic.observe(self._turn, "direction")
        self.arithmetic.observe(self._back, "back")
        self.arithmetic.observe(self._pass, "passing")
        self.arithmetic.observe(lambda _: self._change(filters=()), "cleared")

    def show(self, settings: Settings, explanation: Explanation) -> None:
        """Show what belongs to the settings."""
        self._settings = settings
        self._show_channels(settings, explanation)
        self._show_arithmetic(settings, explanation)

    def _show_channels(self, settings: Settings, explanation: Explanation) -> None:
        if not settings.layer or not explanation.layers:
            return
        here = [known for known in _filters(settings) if known.layer == settings.layer and known.channels]
        if here:  # what could pass, so that the choice among channels stays
            others = tuple(known for known in _filters(settings) if known not in here)
            method = with_filters(settings, others)
            explanation = self.explainer.explain(explanation.inputs, explanation.target, method, aside=True)
        maps = channel_maps(explanation.layer(settings.layer)[0])
        whole = maps.sum(axis=0)
        totals = maps.sum(axis=(1, 2))
        order = np.argsort(-np.abs(totals), kind="stable")[:MOST_CHANNELS]
        with self.channels.one_message():
            self.channels.show(
                maps[order],
                order.tolist(),
                totals[order].tolist(),
                settings.layer,
                float(whole.sum()),
                len(maps),
                pooled=whole,
                kept=[c for known in here if not known.block for c in known.channels],
                blocked=[c for known in here if known.block for c in known.channels],
            )
            self.channels.selected = settings.channel if settings.channel in order else -1
            self.channels.filtered = " · ".join(_said(known) for known in _filters(settings) if known not in here)

    def _show_arithmetic(self, settings: Settings, explanation: Explanation) -> None:
        if not settings.trail or not isinstance(settings.method, LRP) or not explanation.layers:
            self.arithmetic.clear()
            self._leads, self._turned, self._place = [], None, None
            return
        method, last = settings.method, settings.trail[-1]
        tape, passed, *_ = self.explainer.propagate(
            explanation.inputs, method.composite, explanation.target, lambda: False, method.filters
        )
        with torch.no_grad():
            calculator = Calculator(tape, method.composite, passed.relevance)
            neuron = neuron_at(calculator, last) if isinstance(last, Pixel) else last
            if neuron is None:
                self.arithmetic.clear()
                self._place = None
                return
            self._place = calculator.place(neuron)
            found = calculator.of(neuron, MOST_MESSAGES)
            self._leads = [self._lead(calculator, message.other) for message in found.messages]
            self._turned = calculator.above(neuron) if neuron.leaves else calculator.below(neuron)
        self.arithmetic.show(
            {
                "layer": f"{'leaves' if neuron.leaves else 'enters'} {neuron.layer}",
                "index": placed(neuron),
                "activation": found.activation,
                "relevance": found.relevance,
            },
            [self._row(message) for message in found.messages],
            " · ".join(filter(None, (found.rule.equation, numbers_of(found.rule)))),
            _summed(found),
            trail=[stop(known) for known in settings.trail],
            direction="down" if neuron.leaves else "up",
            passing=None if self._place is None else _passing(settings, *self._place),
            filtered=" · ".join(map(_said, _filters(settings))),
        )

    @staticmethod
    def _lead(calculator: Calculator, other: Neuron) -> Neuron | None:
        """Where following a message leads: on into the next layer, or the neuron itself at either end."""
        return (calculator.above(other) if other.leaves else calculator.below(other)) or other

    @staticmethod
    def _row(message: Any) -> dict[str, Any]:
        return {
            "name": placed(message.other, short=True),
            "a": message.activation,
            "w": message.weight,
            "numerator": message.numerator,
            "denominator": message.denominator,
            "share": message.share,
            "relevance": message.relevance_of_k,
            "message": message.relevance,
        }

    # What is done in the views.

    def _chosen(self, change: Any) -> None:
        if not self._shown():
            self._change(channel=change["new"])

    def _filtered(self, change: Any) -> None:
        if not self._shown():
            self._refilter()

    def _refilter(self, region: bool = False) -> None:
        """Put the filter of the channels in place of the former one; with `region`, give up the others."""
        if (settings := self._settings) is None or self._shown():
            return
        layer = self.channels.layer
        others = () if region else tuple(f for f in _filters(settings) if not (f.layer == layer and f.channels))
        own = [
            Filter(layer, tuple(channels), block=block)
            for channels, block in ((self.channels.kept, False), (self.channels.blocked, True))
            if channels
        ]
        self._change(filters=(*others, *own))

    def _pass(self, change: Any) -> None:
        """Keep or block the neuron in sight; of one layer only one neuron can be kept."""
        if (settings := self._settings) is None or self._place is None or self._shown():
            return
        layer, index = self._place
        keep = change["new"] == "keep"
        here = [known for known in _filters(settings) if known.layer == layer and known.neuron]
        given_up = [known for known in here if keep or not known.block or known.neuron == index]
        others = tuple(known for known in _filters(settings) if known not in given_up)
        own = (Filter(layer, neuron=index, block=not keep),) if change["new"] else ()
        self._change(filters=(*others, *own))

    def _stepped(self, change: Any) -> None:
        place = change["new"].get("row")
        if place is not None and place < len(self._leads):
            self._go(self._leads[place])

    def _turn(self, change: Any) -> None:
        if not self._shown():
            self._go(self._turned)

    def _back(self, change: Any) -> None:
        place = change["new"].get("position")
        if place is not None and self._settings is not None:
            self._change(trail=self._settings.trail[: place + 1])

    def _go(self, neuron: Neuron | None) -> None:
        if neuron is not None and self._settings is not None:
            self._change(trail=(*self._settings.trail, neuron)[-MOST_MESSAGES:])


def neuron_at(calculator: Calculator, pixel: Pixel) -> Neuron | None:
    """The neuron behind a place on a map: where no channel is chosen, of the channel with most relevance there."""
    tape = calculator.tape
    value = tape.value_at(pixel.layer) if pixel.layer else tape.inputs[0]
    index = _index(calculator.of_value(value), pixel)
    step = next((step for step in calculator.steps.values() if value in step.outputs), None)
    return calculator.entering(value, index) if step is None else Neuron(step.name, index, leaves=True)


def _index(relevance: Tensor, pixel: Pixel) -> tuple[int, ...]:
    if relevance.ndim == 3:
        at = relevance[:, pixel.row, pixel.column]
        return (int(at.abs().argmax()) if pixel.channel < 0 else pixel.channel, pixel.row, pixel.column)
    width = folded_shape(relevance.numel())[1] if relevance.ndim == 1 else relevance.shape[-1]
    place = min(pixel.row * width + pixel.column, relevance.numel() - 1)
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(place), relevance.shape))


def with_filters(settings: Settings, filters: tuple[Filter, ...]) -> Any:
    """The method of the settings with other filters, where it is one that knows them."""
    method = settings.method
    return dataclasses.replace(method, filters=filters) if isinstance(method, LRP) else method


def region_filters(settings: Settings, region: list[Any], shape: list[int], block: bool) -> tuple[Filter, ...]:
    """The filters with one more for a region of the layer that is shown; () where there is no layer or no region."""
    if not settings.layer or not region:
        return ()
    height, width = shape
    polygon = tuple((x / width, y / height) for x, y in region)
    others = tuple(known for known in _filters(settings) if known.layer != settings.layer or not known.region)
    return (*others, Filter(settings.layer, region=polygon, block=block))


def unfiltered(method: Any) -> Any:
    """The method as its sliders know it."""
    return dataclasses.replace(method, filters=()) if getattr(method, "filters", ()) else method


def placed(neuron: Neuron, short: bool = False) -> str:
    """Where a neuron stands: channel 3, row 5, column 7."""
    axes = AXES.get(len(neuron.index), ())
    if short or len(axes) != len(neuron.index):
        return ", ".join(map(str, neuron.index))
    return ", ".join(f"{axis} {place}" for axis, place in zip(axes, neuron.index, strict=True))


def stop(known: Neuron | Pixel) -> str:
    """A stop on the way through the network, in a few letters."""
    if isinstance(known, Pixel):
        return f"{known.layer or 'input'} {known.row}, {known.column}"
    return f"{known.layer} {'k' if known.leaves else 'j'} {placed(known, short=True)}"


def _filters(settings: Settings) -> tuple[Filter, ...]:
    return settings.method.filters if isinstance(settings.method, LRP) else ()


def _passing(settings: Settings, layer: str, index: tuple[int, ...]) -> str:
    """What a filter says of one neuron: "keep", "block" or ""."""
    own = [known for known in _filters(settings) if known.layer == layer and known.neuron == index]
    return ("block" if own[-1].block else "keep") if own else ""


def _said(known: Filter) -> str:
    what = [f"neuron {', '.join(map(str, known.neuron))}"] if known.neuron else []
    what += [f"channels {', '.join(map(str, known.channels))}"] if known.channels else []
    what += ["a region"] if known.region else []
    return f"{'without' if known.block else 'only'} {' in '.join(what) or 'all'} of {known.layer}"


def _summed(found: Arithmetic) -> str:
    shown = sum(message.relevance for message in found.messages)
    share = f": {100 * shown / found.total:.0f} % of {found.total:.4g}" if found.total else ""
    if found.neuron.leaves:
        return f"{len(found.messages)} of {found.count} givers shown{share}, all that neuron k hands on"
    return f"{len(found.messages)} of {found.count} receivers shown{share}, all that this layer gives to neuron j"
