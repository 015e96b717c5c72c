"""Inspection: the channels of the chosen layer, filters of relevance, and the arithmetic of one neuron."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.session.formatting import channel_maps, folded_shape, number, params_text
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
    """Fills ChannelsView and ArithmeticView from an explanation; what the user does there asks for other settings.

    change(**changes): replaces settings.  is_programmatic(): whether a view changes now because the app sets its
    value, not because the user did. Everything named `show…` runs on the worker.
    """

    def __init__(self, explainer: Explainer, change: Callable[..., None], is_programmatic: Callable[[], bool]) -> None:
        self.explainer, self._change, self._is_programmatic = explainer, change, is_programmatic
        self.channels, self.arithmetic = ChannelsView(), ArithmeticView()
        self._settings: Settings | None = None
        self._neighbours: list[Neuron | None] = []  # the neuron that each row leads to
        self._opposite: Neuron | None = None  # the neuron seen in the other direction
        self._place: tuple[str, tuple[int, ...]] | None = None  # layer and index of the neuron, as a filter names it
        self.has_regions = False  # whether a filter may name a region of the map that is shown
        self.channels.observe(self._choose_channel, "selected")
        self.channels.observe(self._filter_channels, ["kept", "blocked"])
        self.channels.observe(lambda _: self._refilter(region=True), "cleared")
        self.arithmetic.observe(self._step, "stepped")
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
        here = [each for each in _filters(settings) if each.layer == settings.layer and each.channels]
        if (
            here and settings.layer
        ):  # show what would pass without them: else channels that are blocked could not be chosen again
            others = tuple(each for each in _filters(settings) if each not in here)
            method = with_filters(settings, others)
            explanation = self.explainer.explain(explanation.inputs, explanation.target, method, aside=True)
        relevance = explanation.layer(settings.layer) if settings.layer else explanation.relevance
        self.has_regions = bool(settings.layer) and relevance.ndim == 4
        maps = channel_maps(relevance[0])
        whole = maps.sum(axis=0)
        totals = maps.sum(axis=(1, 2))
        order = np.argsort(-np.abs(totals), kind="stable")[:MOST_CHANNELS]
        with self.channels.one_message():
            self.channels.show(
                maps[order],
                order.tolist(),
                totals[order].tolist(),
                settings.layer or "input",
                float(whole.sum()),
                len(maps),
                pooled=whole,
                kept=[channel for each in here if not each.block for channel in each.channels],
                blocked=[channel for each in here if each.block for channel in each.channels],
                can_filter=bool(settings.layer) and relevance.ndim > 1,
            )
            self.channels.selected = settings.channel if settings.channel in order else -1
            self.channels.filtered = " · ".join(_filter_text(each) for each in _filters(settings) if each not in here)

    def _show_arithmetic(self, settings: Settings, explanation: Explanation) -> None:
        self._neighbours, self._opposite, self._place = [], None, None
        if not settings.trail or not isinstance(settings.method, LRP):
            why = f"{settings.method.title} does not propagate from neuron to neuron: choose LRP for the arithmetic."
            self.arithmetic.clear(why if settings.trail else "")
            return
        try:
            self._show_neuron(settings, settings.method, explanation)
        except (
            ValueError,
            TypeError,
            IndexError,
            KeyError,
            RuntimeError,
        ) as error:  # the picture does not depend on it
            self.arithmetic.clear(f"There is no arithmetic of {stop_text(settings.trail[-1])}: {error.args[0]}")

    def _show_neuron(self, settings: Settings, method: LRP, explanation: Explanation) -> None:
        last = settings.trail[-1]
        tape, passed, *_ = self.explainer.propagate(
            explanation.inputs, method.composite, explanation.target, lambda: False, method.filters
        )
        with torch.no_grad():
            calculator = Calculator(tape, method.composite, passed.relevance)
            neuron = neuron_at(calculator, last) if isinstance(last, Pixel) else last
            if neuron is None:
                raise ValueError("it reaches no layer with weights.")
            arithmetic = calculator.of(neuron, MOST_MESSAGES)
            self._neighbours = [self._follow(calculator, message.other) for message in arithmetic.messages]
            self._place = calculator.place(neuron)
            self._opposite = calculator.above(neuron) if neuron.leaves else calculator.below(neuron)
        self.arithmetic.show(
            {
                "layer": f"{'leaves' if neuron.leaves else 'enters'} {neuron.layer}",
                "index": place_text(neuron),
                "activation": arithmetic.activation,
                "relevance": arithmetic.relevance,
            },
            [self._row(message) for message in arithmetic.messages],
            " · ".join(filter(None, (arithmetic.rule.equation, params_text(arithmetic.rule)))),
            _sum_text(arithmetic),
            trail=[stop_text(stop) for stop in settings.trail],
            direction="down" if neuron.leaves else "up",
            passing=None if self._place is None else _passing(settings, *self._place),
            filtered=" · ".join(map(_filter_text, _filters(settings))),
        )

    @staticmethod
    def _follow(calculator: Calculator, other: Neuron) -> Neuron | None:
        """The neuron that a message leads to, in the next layer; at either end of the network the neuron itself."""
        return (calculator.above(other) if other.leaves else calculator.below(other)) or other

    @staticmethod
    def _row(message: Any) -> dict[str, Any]:
        return {
            "name": place_text(message.other, short=True),
            "a": message.activation,
            "w": message.weight,
            "numerator": message.numerator,
            "denominator": message.denominator,
            "share": message.share,
            "relevance": message.relevance_of_k,
            "message": message.relevance,
        }

    # What the user does in the views.

    def _choose_channel(self, change: Any) -> None:
        if not self._is_programmatic():
            self._change(channel=change["new"])

    def _filter_channels(self, change: Any) -> None:
        if not self._is_programmatic():
            self._refilter()

    def _refilter(self, region: bool = False) -> None:
        """Replace the filters of this layer's channels by those chosen now; with `region`, give up all others."""
        if (settings := self._settings) is None or self._is_programmatic():
            return
        layer = self.channels.layer if self.channels.can_filter else ""  # at the input only others can be given up
        others = () if region else tuple(f for f in _filters(settings) if not (f.layer == layer and f.channels))
        own = [
            Filter(layer, tuple(channels), block=block)
            for channels, block in ((self.channels.kept, False), (self.channels.blocked, True))
            if channels and layer
        ]
        self._change(filters=(*others, *own))

    def _pass(self, change: Any) -> None:
        """Keep or block the neuron that is shown; of one layer only one neuron can be kept."""
        if (settings := self._settings) is None or self._place is None or self._is_programmatic():
            return
        layer, index = self._place
        keep = change["new"] == "keep"
        here = [each for each in _filters(settings) if each.layer == layer and each.neuron]
        replaced = [each for each in here if keep or not each.block or each.neuron == index]
        others = tuple(each for each in _filters(settings) if each not in replaced)
        own = (Filter(layer, neuron=index, block=not keep),) if change["new"] else ()
        self._change(filters=(*others, *own))

    def _step(self, change: Any) -> None:
        place = change["new"].get("row")
        if place is not None and place < len(self._neighbours):
            self._go(self._neighbours[place])

    def _turn(self, change: Any) -> None:
        if not self._is_programmatic():
            self._go(self._opposite)

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
    relevance = calculator.of_value(value)
    index = _index(relevance, pixel)
    if not all(0 <= place < length for place, length in zip(index, relevance.shape, strict=True)):
        raise ValueError(f"it lies outside of a map of shape {tuple(relevance.shape)}.")
    step = next((step for step in calculator.steps.values() if value in step.outputs), None)
    return calculator.entering(value, index) if step is None else Neuron(step.name, index, leaves=True)


def _index(relevance: Tensor, pixel: Pixel) -> tuple[int, ...]:
    """Which element a place on the map is; of the channels and slices that were added up there, the most relevant."""
    channel = () if pixel.channel < 0 else (pixel.channel,)
    if relevance.ndim >= 3:
        above = relevance[..., pixel.row, pixel.column][channel].abs()
        best = np.unravel_index(int(above.argmax()), above.shape)
        return (*channel, *map(int, best), pixel.row, pixel.column)
    if channel:  # a row of what has no maps: one below the other
        return (*channel, pixel.row)[: relevance.ndim]
    width = folded_shape(relevance.numel())[1] if relevance.ndim < 2 else relevance.shape[-1]
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
    others = tuple(each for each in _filters(settings) if each.layer != settings.layer or not each.region)
    return (*others, Filter(settings.layer, region=polygon, block=block))


def unfiltered(method: Any) -> Any:
    """The method without filters, which its sliders do not have."""
    return dataclasses.replace(method, filters=()) if getattr(method, "filters", ()) else method


def place_text(neuron: Neuron, short: bool = False) -> str:
    """Where a neuron is in its layer: channel 3, row 5, column 7."""
    axes = AXES.get(len(neuron.index), ())
    if short or len(axes) != len(neuron.index):
        return ", ".join(map(str, neuron.index))
    return ", ".join(f"{axis} {place}" for axis, place in zip(axes, neuron.index, strict=True))


def stop_text(stop: Neuron | Pixel) -> str:
    """A stop on the way through the network, in a few letters."""
    if isinstance(stop, Pixel):
        return f"{stop.layer or 'input'} {stop.row}, {stop.column}"
    return f"{stop.layer} {'k' if stop.leaves else 'j'} {place_text(stop, short=True)}"


def _filters(settings: Settings) -> tuple[Filter, ...]:
    return settings.method.filters if isinstance(settings.method, LRP) else ()


def _passing(settings: Settings, layer: str, index: tuple[int, ...]) -> str:
    """What the filters do with one neuron: "keep", "block" or ""."""
    own = [each for each in _filters(settings) if each.layer == layer and each.neuron == index]
    return ("block" if own[-1].block else "keep") if own else ""


def _filter_text(filter_: Filter) -> str:
    what = [f"neuron {', '.join(map(str, filter_.neuron))}"] if filter_.neuron else []
    what += [f"channels {', '.join(map(str, filter_.channels))}"] if filter_.channels else []
    what += ["a region"] if filter_.region else []
    return f"{'without' if filter_.block else 'only'} {' in '.join(what) or 'all'} of {filter_.layer}"


def _sum_text(arithmetic: Arithmetic) -> str:
    count = len(arithmetic.messages)
    shown = sum(message.relevance for message in arithmetic.messages)
    share = f": {100 * shown / arithmetic.total:.0f} % of {number(arithmetic.total, 4)}" if arithmetic.total else ""
    if arithmetic.neuron.leaves:
        return f"{count} of {arithmetic.count} givers shown{share}, all that neuron k hands on"
    return f"{count} of {arithmetic.count} receivers shown{share}, all that this layer gives to neuron j"
