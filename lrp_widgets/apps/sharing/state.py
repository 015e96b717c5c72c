"""The state of a dashboard: its settings and the look of its heatmap, as a dict for JSON, and read back with checks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from lrp_widgets.apps.session.settings import Morph
from lrp_widgets.apps.sharing.encoding import (
    CLASSES,
    StateError,
    abbreviated,
    check_class_index,
    classes_by_name,
    construct,
    decode,
    encode,
    init_fields,
    is_plain,
)
from lrp_widgets.apps.sharing.link import VERSION, check_version, from_text
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.samples import Samples

__all__ = ["from_state", "target_classes", "to_state"]

S = TypeVar("S")

DRAWING_SIZE = 28 * 28  # bytes


def to_state(settings: Any, look: Mapping[str, Any] | None = None, more: Iterable[type] = ()) -> dict[str, Any]:
    """The settings (a frozen dataclass) and the look (names and plain values) as a dict that JSON can carry exactly.

    more: classes of rules, methods or inputs besides those of the package. All fields are written, also those at their
    defaults, so that the state means the same where a default changes.
    Raises StateError where a setting holds something of another class, or a number that is not finite.
    """
    classes = classes_by_name(more)
    state: dict[str, Any] = {"lrp_widgets": VERSION}
    for field in init_fields(settings):
        state[field.name] = encode(getattr(settings, field.name), field.name, classes)
    state["look"] = {name: encode(value, f"look.{name}", classes) for name, value in (look or {}).items()}
    return state


def from_state(
    state: Mapping[str, Any] | str, settings: type[S], samples: Samples, more: Iterable[type] = ()
) -> tuple[S, dict[str, Any]]:
    """The settings and the look that a state describes.

    state: what to_state gave, or its JSON, or a link with it.  settings: the class to make.  samples: what there is to
    choose from.  more: as in to_state.
    The look is returned unchecked, for the view to check. Raises StateError that names the field.
    """
    state = from_text(state) if isinstance(state, str) else check_version(state)
    classes = classes_by_name(more)
    names = {field.name for field in dataclasses.fields(settings) if field.init}  # type: ignore[arg-type]
    for name in state:
        if name not in {*names, "lrp_widgets", "look"}:
            raise StateError(f"State.{name} is not known. Known are {', '.join(sorted(names))} and look.")
    values = {name: decode(state[name], name, classes) for name in state if name in names}
    for name, value in values.items():
        if name in _CHECKS:
            _CHECKS[name](value, samples)
    look = state.get("look", {})
    if not isinstance(look, Mapping) or not all(is_plain(value, lists=2) for value in look.values()):
        raise StateError(f"State.look must be a table of numbers, texts and lists of them, got {abbreviated(look)}.")
    return construct(settings, values, ""), dict(look)


def target_classes(target: int | Contrast | None) -> tuple[int, ...]:
    """The classes that a target names."""
    if target is None:
        return ()
    return (target.a, target.b) if isinstance(target, Contrast) else (target,)


# Checks by the field's name, which a class of settings leaves out because they need the samples.


def _check_sample(sample: Any, samples: Samples) -> None:
    if type(sample) is int and not 0 <= sample < len(samples):
        raise StateError(f"State.sample must lie in [0, {len(samples) - 1}], the samples there are, got {sample}.")
    if isinstance(sample, bytes) and (len(sample) != DRAWING_SIZE or tuple(samples.inputs.shape[1:]) != (1, 28, 28)):
        raise StateError(
            f"State.sample must be a drawing of {DRAWING_SIZE} bytes, for a model of digits, got {len(sample)}."
        )
    if isinstance(sample, Morph):
        _check_sample(sample.start, samples)
        _check_sample(sample.stop, samples)
    if sample is None or isinstance(sample, bool | float | str | tuple) or type(sample) in CLASSES:
        raise StateError(f"State.sample must be the number of a sample or an input, got {abbreviated(sample)}.")


def _check_target(target: Any, samples: Samples) -> None:
    if target is not None and not isinstance(target, Contrast):
        check_class_index("State.target", target)
    classes = len(samples.classes) if samples.classes else math.inf
    if (highest := max(target_classes(target), default=0)) >= classes:
        raise StateError(f"State.target must lie in [0, {int(classes) - 1}], the classes there are, got {highest}.")


def _check_method(method: Any, samples: Samples) -> None:
    if not hasattr(method, "relevance"):
        raise StateError(f"State.method must be a method such as LRP, got {abbreviated(method)}.")


def _check_layer(layer: Any, samples: Samples) -> None:
    if not isinstance(layer, str):
        raise StateError(f"State.layer must be the name of a layer, got {abbreviated(layer)}.")


_CHECKS = {"sample": _check_sample, "target": _check_target, "method": _check_method, "layer": _check_layer}
