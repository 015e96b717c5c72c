"""A heatmap as Python: the few lines that make the same picture without the dashboard."""

from __future__ import annotations

import base64
import dataclasses
import textwrap
import zlib
from collections.abc import Iterator
from typing import Any, TypeGuard

from lrp_widgets.apps.session.settings import Morph
from lrp_widgets.engine.composites.composite import Composite, Depth, Entry
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.engine.rules import RULES
from lrp_widgets.methods import METHODS, WRAPPERS

__all__ = ["expression", "snippet"]

PUBLIC = {kind: f"lw.{kind.__name__}" for kind in (*METHODS, *WRAPPERS, *PRESETS, Composite, Depth, Entry, Filter)}
PUBLIC |= {rule: f"lw.rules.{rule.__name__}" for rule in RULES}
FIRST = ("composite", "method", "entries", "rule", "where")  # fields that need no name where they come first
WIDTH = 100
WHERE_FROM = "# model, samples: what the dashboard was given, lw.explore(model, samples)"


def expression(value: Any) -> str:
    """A setting as the Python that makes it: lw.LRP(lw.alpha_beta(alpha=2.35)).

    Fields at their defaults are left out. Classes of other modules have their bare name; `snippet` imports them.
    """
    parts = _parts(value)
    if parts is None:
        return repr(value)
    head, arguments, tail = parts
    return head + ", ".join(name + expression(part) for name, part in arguments) + tail


def _wrapped(value: Any, before: str, after: str = "", indent: int = 0) -> Iterator[str]:
    """An expression between two texts, on as many lines as it needs."""
    margin, parts = " " * indent, _parts(value)
    line = f"{margin}{before}{expression(value)}{after}"
    if len(line) <= WIDTH or parts is None or not parts[1]:
        yield line
        return
    head, arguments, tail = parts
    yield f"{margin}{before}{head}"
    for name, part in arguments:
        yield from _wrapped(part, name, ",", indent + 4)
    yield f"{margin}{tail.lstrip(',')}{after}"


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str] | None:
    """The beginning of an expression, its arguments with names (`alpha=` or ""), and its end; None for a literal."""
    if isinstance(value, Contrast):
        return "lw.contrast(", [("", value.a), ("", value.b)], ")"
    if isinstance(value, tuple):
        return "(", [("", part) for part in value], ",)" if len(value) == 1 else ")"
    if not _is_value(value):
        return None
    return PUBLIC.get(type(value), type(value).__qualname__) + "(", sorted(_arguments(value), key=_is_named), ")"


def _arguments(value: Any) -> Iterator[tuple[str, Any]]:
    by_position = True
    for field in dataclasses.fields(value):
        if not field.init:
            continue
        argument = getattr(value, field.name)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if not required and _same(argument, _default(field)):
            by_position = by_position and field.kw_only  # the next argument would take its place
            continue
        bare = by_position and not field.kw_only and (required or field.name in FIRST)
        yield "" if bare else f"{field.name}=", argument
        by_position = bare or (by_position and field.kw_only)


def _is_named(argument: tuple[str, Any]) -> bool:
    return argument[0] != ""


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


def snippet(
    settings: Any,
    model: str = "model",
    samples: str = "samples",
    *,
    output: str | int | None = None,
    one_core: bool = False,
    task: str | None = None,
    versions: str = "",
) -> str:
    """A runnable piece of Python that ends with `explanation` and `relevance`, the map that is shown.

    settings: sample, method, target and layer.  model, samples: expressions that make these, or their bare names.
    output: as in lw.Explainer; of a function the snippet has the name, and the reader defines it above.
    one_core: whether the dashboard explained on one core (session.cores.is_small): more of them round differently.
    task: as in lw.Samples; of a logit the snippet says the probability too.  versions: a comment for the first line.
    A drawing, or an input that holds its bytes, shape and dtype, is written out.
    Raises TypeError where the sample is something else.
    """
    imports = sorted({f"from {kind.__module__} import {kind.__qualname__}" for kind in _foreign(settings.method)})
    sample = _sample(settings.sample)
    start = settings.sample.start if isinstance(settings.sample, Morph) else settings.sample
    arrays, torches = not isinstance(start, int), one_core or not isinstance(settings.sample, int)
    output_argument = "" if output is None else f", output={getattr(output, '__name__', repr(output))}"
    target = "" if settings.target is None else f"target={expression(settings.target)}, "
    channel = f"[:, {settings.channel}]" if getattr(settings, "channel", -1) >= 0 else ""
    blocks = [
        [f"# {versions}"] if versions else [],
        ["import zlib", "from base64 import b64decode"] if arrays else [],
        [
            *(["import numpy as np"] if arrays else []),
            *(["import torch"] if torches else []),
            *(["", "import lrp_widgets as lw"] if torches else ["import lrp_widgets as lw"]),
            *imports,
        ],
        ["torch.set_num_threads(1)  # as the dashboard did: more threads round differently"] if one_core else [],
        [
            *([WHERE_FROM] if "model" in (model, samples) or "samples" in (model, samples) else []),
            *([f"model = {model}"] if model != "model" else []),
            *([f"samples = {samples}"] if samples != "samples" else []),
            *sample,
        ],
        [
            *_wrapped(settings.method, "method = "),
            f"explanation = lw.Explainer(model{output_argument}).explain(x, {target}method=method)",
            "relevance = "
            + (f"explanation.layer({settings.layer!r})" if settings.layer else "explanation.relevance")
            + channel,
            *(["probability = explanation.scores.sigmoid()  # the output is a logit"] if task == "logit" else []),
        ],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _sample(sample: Any) -> list[str]:
    if isinstance(sample, int) and not isinstance(sample, bool):
        return [f"x = samples.inputs[{sample}:{sample + 1}]"]
    if isinstance(sample, bytes):  # a drawing: 28 × 28 of ink, to the domain of the samples
        return [
            *_unpacked("pixels", sample, "np.uint8"),
            "ink = pixels.reshape(1, 1, 28, 28).astype(np.float32) / 255",
            "low, high = (float(np.mean(bound)) for bound in (samples.low, samples.high))",
            "x = torch.from_numpy(low + ink * (high - low)).to(samples.inputs)",
        ]
    if isinstance(sample, Morph):
        stop = f"samples.inputs[{sample.stop}:{sample.stop + 1}]"
        return [*_sample(sample.start), f"x = torch.lerp(x, {stop}, {sample.share!r})"]
    parts = [getattr(sample, field.name) for field in dataclasses.fields(sample)] if _is_value(sample) else []
    contents = [part for part in parts if isinstance(part, bytes)]
    shape, dtype = getattr(sample, "shape", None), getattr(sample, "dtype", None)
    if len(contents) != 1 or shape is None or dtype is None:
        raise TypeError(
            f"snippet() can write out a sample's number, a drawing, or a frozen value with bytes, shape and dtype, "
            f"got {type(sample).__name__}."
        )
    name = str(dtype).rpartition(".")[2]  # torch.float32 as numpy calls it
    return [
        *_unpacked("values", contents[0], f"np.dtype({name!r})"),
        f"x = torch.from_numpy(values.reshape({tuple(shape)}).copy()).to(samples.inputs)",
    ]


def _is_value(sample: Any) -> TypeGuard[Any]:
    return dataclasses.is_dataclass(sample) and not isinstance(sample, type)


def _unpacked(name: str, content: bytes, dtype: str) -> list[str]:
    letters = textwrap.wrap(base64.b64encode(zlib.compress(content, 9)).decode(), WIDTH - 6)
    quoted = [f'    "{line}"' for line in letters]
    return ["packed = (", *quoted, ")", f"{name} = np.frombuffer(zlib.decompress(b64decode(packed)), {dtype})"]


def _foreign(value: Any) -> set[type]:
    """The classes of a setting that are not public here."""
    if isinstance(value, tuple):
        return set().union(*(_foreign(part) for part in value))
    if not _is_value(value):
        return set()
    below = set().union(*(_foreign(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init))
    # The classes that a notebook defines need no import.
    is_foreign = type(value) not in PUBLIC and type(value).__module__ != "__main__"
    return below | ({type(value)} if is_foreign else set())
