"""Frozen settings as values that JSON can carry, and back: a dataclass is its name with its fields.

A name chooses among classes that are listed here or that the caller passes; nothing is imported or run, and each class
checks its own values.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from lrp_widgets.engine.composites.composite import Composite, Depth, Entry
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.engine.propagation.target import Contrast, contrast
from lrp_widgets.engine.rules import RULES
from lrp_widgets.methods import METHODS, WRAPPERS

__all__ = [
    "CLASSES",
    "StateError",
    "abbreviated",
    "check_class_index",
    "classes_by_name",
    "construct",
    "decode",
    "encode",
    "init_fields",
    "is_plain",
]

T = TypeVar("T")

CLASSES: tuple[type, ...] = (*METHODS, *WRAPPERS, *PRESETS, *RULES, Composite, Entry, Depth, Filter, Contrast)
MAX_DEPTH = 16  # of values within values: a method within wrappers, its composite, an entry, a rule
BYTES = "bytes"  # the key of bytes in base64


class StateError(ValueError):
    """A state that cannot be read, or a setting that cannot be written; the message names the field."""


def classes_by_name(more: Iterable[type] = ()) -> dict[str, type]:
    """CLASSES and `more` by their names. Raises StateError where two have the same one."""
    classes: dict[str, type] = {}
    for kind in (*CLASSES, *more):
        if classes.setdefault(kind.__name__, kind) is not kind or kind.__name__ == BYTES:
            raise StateError(f"Two classes are called {kind.__name__!r}. Rename yours: a state knows them by name.")
    return classes


def init_fields(value: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a dataclass that its constructor takes."""
    return [field for field in dataclasses.fields(value) if field.init]


def encode(value: Any, path: str, classes: dict[str, type]) -> Any:
    """A value as JSON has it: a dataclass as {name: {field: value}}, bytes as {"bytes": base64}, a tuple as a list.

    path: of the value in the state, for messages.
    Raises StateError where the class is none of `classes`, or a number is not finite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise StateError(f"State.{path} must be a finite number, got {value}.")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, bytes):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, tuple | list):
        return [encode(part, f"{path}[{i}]", classes) for i, part in enumerate(value)]
    name = type(value).__name__
    if classes.get(name) is not type(value) or not dataclasses.is_dataclass(value):
        raise StateError(
            f"State.{path} cannot be written: {name} is not of this package. Pass its class, more=({name},)."
        )
    fields = init_fields(value)
    return {name: {f.name: encode(getattr(value, f.name), f"{path}.{name}.{f.name}", classes) for f in fields}}


def decode(value: Any, path: str, classes: dict[str, type], depth: int = 0) -> Any:
    """The value that `encode` wrote.  depth: how many values it lies within. Raises StateError that names the field."""
    if depth > MAX_DEPTH:
        raise StateError(f"State.{path} is nested too deeply: more than {MAX_DEPTH} values within each other.")
    if is_plain(value):
        return value
    if isinstance(value, list | tuple):
        return tuple(decode(part, f"{path}[{i}]", classes, depth + 1) for i, part in enumerate(value))
    if not isinstance(value, Mapping) or len(value) != 1:
        raise StateError(f"State.{path} must be a value or one class with its fields, got {abbreviated(value)}.")
    ((name, parts),) = value.items()
    if name == BYTES:
        return _decode_bytes(parts, path)
    if name not in classes:
        raise StateError(f"State.{path} names {abbreviated(name)}, which is not known here. Pass its class, more=(…,).")
    path, kind = f"{path}.{name}", classes[name]
    if not isinstance(parts, Mapping):
        raise StateError(f"State.{path} must be a table of fields, got {abbreviated(parts)}.")
    fields = [field.name for field in init_fields(kind)]
    for part in parts:
        if part not in fields:
            raise StateError(f"State.{path}.{part} is not known. Known are: {', '.join(fields) or 'none'}.")
    values = {part: decode(parts[part], f"{path}.{part}", classes, depth + 1) for part in parts}
    return construct(kind, values, f".{path}")


def construct(kind: type[T], values: dict[str, Any], path: str) -> T:
    """An instance of a dataclass; a field that is left out has its default. Raises StateError that names the field."""
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        default = (field.default, field.default_factory)
        if field.init and field.name not in values and default == (dataclasses.MISSING, dataclasses.MISSING):
            raise StateError(f"State{path}.{field.name} is missing.")
    try:
        if kind is Contrast:
            check_class_index(f"State{path}.a", values.get("a"))
            check_class_index(f"State{path}.b", values.get("b"))
            return contrast(values["a"], values["b"])  # type: ignore[return-value]
        return kind(**values)
    except StateError:
        raise
    except Exception as error:  # a setting says itself what is wrong with its values
        raise StateError(f"State{path}: {error}") from error


def check_class_index(path: str, value: Any) -> None:
    """Raise StateError where a value is no index of a class."""
    if type(value) is not int or value < 0:
        raise StateError(f"{path} must be the number of a class, got {abbreviated(value)}.")


def is_plain(value: Any, lists: int = 0) -> bool:
    """Whether JSON carries a value as it is.  lists: how many lists may lie within each other."""
    if isinstance(value, float):
        return math.isfinite(value)
    if lists and isinstance(value, list):
        return all(is_plain(part, lists - 1) for part in value)
    return value is None or type(value) in (bool, int, str)


def abbreviated(value: Any) -> str:
    """The beginning of a value's repr, for messages."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _decode_bytes(text: Any, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise StateError(f"State.{path} must be bytes in base64, got {abbreviated(text)}.") from None
