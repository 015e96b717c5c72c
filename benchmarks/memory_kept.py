"""What an explainer keeps in memory beside its model, and whether that grows while a slider is moved."""

from __future__ import annotations

import gc
from typing import Any

import psutil
from torch import Tensor, nn

import lrp_widgets as lw

__all__ = ["MOVES", "memory_kept", "memory_text"]

MIB = 2**20
MOVES = 10_000
AIM, GROWTH = 250, 5  # MiB


def memory_kept(model: nn.Module, x: Tensor, composites: dict[str, lw.Composite], moves: bool) -> dict[str, Any]:
    """MiB beside the model after two inputs, by composite; with `moves` also how much so many moves of α add."""
    before, sizes = _tensors(), {}
    for title, composite in composites.items():
        explainer = lw.Explainer(model)
        for shift in (0, 0.01):
            explainer.explain(x + shift, 0, lw.LRP(composite))
        sizes[title] = (_tensors() - before) / MIB
        del explainer
    return {"kept, MiB": sizes, "growth, MiB": _growth(model, x) if moves else None}


def memory_text(result: dict[str, Any] | None) -> str:
    """The same in a line; None where it was not measured."""
    if result is None:
        return "what is kept in memory is not measured in the short version"
    sizes, growth = result["kept, MiB"], result["growth, MiB"]
    text = "keeps " + ", ".join(f"{mib:.0f} MiB ({title})" for title, mib in sizes.items()) + f" (aim for VGG16: {AIM})"
    return text if growth is None else f"{text}; {MOVES:,} moves of α add {growth:.1f} MiB (aim ± {GROWTH})"


def _tensors() -> int:
    """The bytes of all tensors there are, packed ones among them."""
    gc.collect()
    memories: dict[int, int] = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor):  # isinstance would ask some things for what they warn of
            packed = thing.is_mkldnn  # such a tensor has no storage that could be asked
            key = id(thing) if packed else thing.untyped_storage()._cdata
            memories[key] = thing.numel() * thing.element_size() if packed else thing.untyped_storage().nbytes()
    return sum(memories.values())


def _growth(model: nn.Module, x: Tensor) -> float:
    explainer, process = lw.Explainer(model), psutil.Process()

    def move(times: int) -> int:
        for number in range(times):
            explainer.explain(x, 0, lw.LRP(lw.alpha_beta(alpha=1 + number % 41 / 20)))
        return process.memory_info().rss

    warm = move(1000)
    return (move(MOVES) - warm) / MIB
