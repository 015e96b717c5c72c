"""The state of a dashboard as JSON and as a link: written out field by field, read back with a check on each.

A state names classes, it never imports or runs anything: only classes that are known here, or that the caller passes,
are made, and each checks its own values.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

from lrp_widgets.apps.session.settings import Morph
from lrp_widgets.engine.composites.composite import Composite, Depth, Entry
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.engine.propagation.target import Contrast, contrast
from lrp_widgets.engine.rules import RULES
from lrp_widgets.methods import METHODS, WRAPPERS
from lrp_widgets.samples import Samples

__all__ = ["KNOWN", "LONGEST_LINK", "StateError", "from_query", "from_state", "parsed", "to_query", "to_state"]

S = TypeVar("S")

VERSION = 1
KNOWN: tuple[type, ...] = (*METHODS, *WRAPPERS, *PRESETS, *RULES, Composite, Entry, Depth, Filter, Contrast)
LONGEST_LINK = 8000  # characters of a query: what servers and proxies let through
LARGEST = 4 * 2**20  # bytes of JSON that are read
DEEPEST = 16  # of values within values: a method within wrappers, its composite, an entry, a rule
DRAWN = 28 * 28  # bytes of a drawing
BYTES = "bytes"  # the key under which bytes stand, as base64


class StateError(ValueError):
    """A state that cannot be read, or a setting that cannot be written; says which field it is."""


def to_state(settings: Any, look: Mapping[str, Any] | None = None, more: Iterable[type] = ()) -> dict[str, Any]:
    """The settings (a frozen dataclass) and the look (names and plain values) as a dict that JSON can carry exactly.

    more: classes of rules, methods or inputs besides those of the package. All fields are written, also those at their
    defaults, so that the state means the same where a default changes.
    Raises StateError where a setting holds something of another class, or a number that is not finite.
    """
    known = _by_name(more)
    state: dict[str, Any] = {"lrp_widgets": VERSION}
    for field in _fields(settings):
        state[field.name] = _written(getattr(settings, field.name), field.name, known)
    state["look"] = {name: _written(value, f"look.{name}", known) for name, value in (look or {}).items()}
    return state


def from_state(
    state: Mapping[str, Any] | str, settings: type[S], samples: Samples, more: Iterable[type] = ()
) -> tuple[S, dict[str, Any]]:
    """The settings and the look that a state describes.

    state: what to_state gave, or its JSON, or a link with it.  settings: the class to make.  samples: what there is to
    choose from.  more: as in to_state.
    The look is handed back as it stands there, for the view to check. Raises StateError that names the field.
    """
    state = parsed(state) if isinstance(state, str) else _whole(state)
    known = _by_name(more)
    names = {field.name for field in dataclasses.fields(settings) if field.init}  # type: ignore[arg-type]
    for name in state:
        if name not in {*names, "lrp_widgets", "look"}:
            raise StateError(f"State.{name} is not known. Known are {', '.join(sorted(names))} and look.")
    values = {name: _read(state[name], name, known, 0) for name in state if name in names}
    for name, value in values.items():
        if name in _CHECKS:
            _CHECKS[name](value, samples)
    look = state.get("look", {})
    if not isinstance(look, Mapping) or not all(_is_plain(value, lists=2) for value in look.values()):
        raise StateError(f"State.look must be a table of numbers, texts and lists of them, got {_said(look)}.")
    return _made(settings, values, ""), dict(look)


def to_query(state: Mapping[str, Any]) -> str:
    """A state as letters, digits, - and _, for a link: JSON, deflated, in base64url.

    Raises StateError where it has more than 8,000 characters, as with an uploaded picture.
    """
    packed = zlib.compress(_json(state).encode(), 9)
    query = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(query) > LONGEST_LINK:
        raise StateError(
            f"A link may have {LONGEST_LINK} characters, this state needs {len(query)}. "
            "Its input is too large for a link: save the state as a file."
        )
    return query


def from_query(query: str) -> dict[str, Any]:
    """The state in a link, in its part behind the ?, or in the letters of to_query alone. Raises StateError."""
    text = query.strip().partition("#")[0]
    if "?" in text or "=" in text:
        found = parse_qs(text.rpartition("?")[2]).get("state", [])
        if not found:
            raise StateError(f"A link to a state has ?state=…, got {_said(query)}.")
        text = found[0]
    if len(text) > LONGEST_LINK:
        raise StateError(f"A link may have {LONGEST_LINK} characters, got {len(text)}.")
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(packed, LARGEST)
        if not unpacking.eof:
            raise StateError(f"The state of a link must be whole and at most {LARGEST} bytes. Copy the link again.")
    except (binascii.Error, zlib.error, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError("The state of this link cannot be read: a part of it is missing. Copy it again.") from None
    return _loaded(content)


def parsed(state: str) -> dict[str, Any]:
    """A state out of a text: its JSON, or a link with it. Raises StateError."""
    if not state.lstrip().startswith("{"):
        return from_query(state)
    if len(state) > LARGEST:
        raise StateError(f"A state may have {LARGEST} characters, got {len(state)}.")
    return _loaded(state)


def _loaded(content: str | bytes) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise StateError(f"The numbers of a state must be finite, got {name}.")

    try:
        return _whole(json.loads(content, parse_constant=refuse))
    except StateError:
        raise
    except (ValueError, RecursionError) as error:  # a JSONDecodeError, bytes that are no text, a number of 5,000 digits
        said = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise StateError(f"The state is not JSON: {said}.") from None


def _whole(state: Any) -> dict[str, Any]:
    if not isinstance(state, Mapping):
        raise StateError(f"A state must be a table of fields, got {_said(state)}.")
    version = state.get("lrp_widgets")
    if type(version) is not int or version != VERSION:
        raise StateError(
            f"State.lrp_widgets must be {VERSION}, the version that is read here, got {_said(version)}. "
            "Is this a state, and of this version of lrp_widgets?"
        )
    return dict(state)


def _json(state: Any) -> str:
    return json.dumps(state, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _by_name(more: Iterable[type]) -> dict[str, type]:
    known: dict[str, type] = {}
    for kind in (*KNOWN, *more):
        if known.setdefault(kind.__name__, kind) is not kind or kind.__name__ == BYTES:
            raise StateError(f"Two classes are called {kind.__name__!r}. Rename yours: a state knows them by name.")
    return known


def _fields(value: Any) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(value) if field.init]


def _written(value: Any, path: str, known: dict[str, type]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise StateError(f"State.{path} must be a finite number, got {value}.")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, bytes):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, tuple | list):
        return [_written(part, f"{path}[{i}]", known) for i, part in enumerate(value)]
    name = type(value).__name__
    if known.get(name) is not type(value) or not dataclasses.is_dataclass(value):
        raise StateError(
            f"State.{path} cannot be written: {name} is not of this package. Pass its class, more=({name},)."
        )
    parts = {f.name: _written(getattr(value, f.name), f"{path}.{name}.{f.name}", known) for f in _fields(value)}
    return {name: parts}


def _read(value: Any, path: str, known: dict[str, type], depth: int) -> Any:
    if depth > DEEPEST:
        raise StateError(f"State.{path} is nested too deeply: more than {DEEPEST} values within each other.")
    if _is_plain(value):
        return value
    if isinstance(value, list | tuple):
        return tuple(_read(part, f"{path}[{i}]", known, depth + 1) for i, part in enumerate(value))
    if not isinstance(value, Mapping) or len(value) != 1:
        raise StateError(f"State.{path} must be a value or one class with its fields, got {_said(value)}.")
    ((name, parts),) = value.items()
    if name == BYTES:
        return _bytes(parts, path)
    if name not in known:
        raise StateError(f"State.{path} names {_said(name)}, which is not known here. Pass its class, more=(…,).")
    path, kind = f"{path}.{name}", known[name]
    if not isinstance(parts, Mapping):
        raise StateError(f"State.{path} must be a table of fields, got {_said(parts)}.")
    fields = [field.name for field in _fields(kind)]
    for part in parts:
        if part not in fields:
            raise StateError(f"State.{path}.{part} is not known. Known are: {', '.join(fields) or 'none'}.")
    values = {part: _read(parts[part], f"{path}.{part}", known, depth + 1) for part in parts}
    return _made(kind, values, f".{path}")


def _made(kind: type[S], values: dict[str, Any], path: str) -> S:
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        default = (field.default, field.default_factory)
        if field.init and field.name not in values and default == (dataclasses.MISSING, dataclasses.MISSING):
            raise StateError(f"State{path}.{field.name} is missing.")
    try:
        if kind is Contrast:
            _check_class(f"State{path}.a", values.get("a"))
            _check_class(f"State{path}.b", values.get("b"))
            return contrast(values["a"], values["b"])  # type: ignore[return-value]
        return kind(**values)
    except StateError:
        raise
    except Exception as error:  # a setting says itself what is wrong with its values
        raise StateError(f"State{path}: {error}") from error


def _bytes(text: Any, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise StateError(f"State.{path} must be bytes in base64, got {_said(text)}.") from None


def _is_plain(value: Any, lists: int = 0) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if lists and isinstance(value, list):
        return all(_is_plain(part, lists - 1) for part in value)
    return value is None or type(value) in (bool, int, str)


def _said(value: Any) -> str:
    """A value as an error repeats it: not the whole of a long one."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


# What a class of settings leaves to the explainer, and what is known better here. By the field's name.


def _check_sample(sample: Any, samples: Samples) -> None:
    if type(sample) is int and not 0 <= sample < len(samples):
        raise StateError(f"State.sample must lie in [0, {len(samples) - 1}], the samples there are, got {sample}.")
    if isinstance(sample, bytes) and (len(sample) != DRAWN or tuple(samples.inputs.shape[1:]) != (1, 28, 28)):
        raise StateError(f"State.sample must be a drawing of {DRAWN} bytes, for a model of digits, got {len(sample)}.")
    if isinstance(sample, Morph):
        _check_sample(sample.start, samples)
        _check_sample(sample.stop, samples)
    if sample is None or isinstance(sample, bool | float | str | tuple) or type(sample) in KNOWN:
        raise StateError(f"State.sample must be the number of a sample or an input, got {_said(sample)}.")


def _check_target(target: Any, samples: Samples) -> None:
    if target is not None and not isinstance(target, Contrast):
        _check_class("State.target", target)
    classes = len(samples.classes) if samples.classes else math.inf
    named = (target.a, target.b) if isinstance(target, Contrast) else (target or 0,)
    if max(named) >= classes:
        raise StateError(f"State.target must lie in [0, {int(classes) - 1}], the classes there are, got {max(named)}.")


def _check_class(said: str, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise StateError(f"{said} must be the number of a class, got {_said(value)}.")


def _check_method(method: Any, samples: Samples) -> None:
    if not hasattr(method, "relevance"):
        raise StateError(f"State.method must be a method such as LRP, got {_said(method)}.")


def _check_layer(layer: Any, samples: Samples) -> None:
    if not isinstance(layer, str):
        raise StateError(f"State.layer must be the name of a layer, got {_said(layer)}.")


_CHECKS = {"sample": _check_sample, "target": _check_target, "method": _check_method, "layer": _check_layer}
