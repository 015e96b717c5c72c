"""Random small networks as plain data, and random settings for them: strategies for hypothesis."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.operators import Options
from lrp_widgets.engine.rules import RULES, Rule
from lrp_widgets.params import Param, params_of
from tests.engine.networks.layers import KINDS, Do, Kind, Settings, Shape, choices
from tests.engine.networks.moves import MOVES
from tests.engine.networks.sequences import SEQUENCES

Layers = tuple[tuple[str, Settings], ...]

MOST = 150  # numbers in a row, so that a network takes milliseconds
CLASSES = 3


@dataclass(frozen=True)
class Network:
    """What one row has, the layers in order, and where the random numbers start."""

    shape: Shape
    layers: Layers
    rows: int = 2
    signed: bool = True
    seed: int = 0

    def build(self) -> nn.Module:
        """The network in eval mode and float64, with a dense layer at its end that makes the scores."""
        end = behind(self.shape, self.layers)
        head = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(end), CLASSES))
        return ready(nn.Sequential(*made(self.shape, self.layers), head), self.seed)

    def inputs(self, again: int = 0) -> Tensor:
        """A batch for it; another one for each number."""
        numbers = torch.Generator().manual_seed(self.seed + 100 * again + 1)
        x = torch.randn(self.rows, *self.shape, generator=numbers, dtype=torch.float64)
        return x if self.signed else x.abs()

    def start(self, again: int = 0) -> Tensor:
        """Relevance for its scores."""
        numbers = torch.Generator().manual_seed(self.seed + 100 * again + 2)
        return torch.randn(self.rows, CLASSES, generator=numbers, dtype=torch.float64)


def ready(model: nn.Module, seed: int) -> nn.Module:
    """The model in eval mode and float64, with random weights of a size that keeps activations about as large."""
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                tensor.normal_(generator=numbers)
                if tensor.ndim > 1:
                    tensor.div_(max(1.0, tensor[0].numel() ** 0.5))
                if name.endswith(("running_var", "original0")):  # original0: the size that weight_norm gives
                    tensor.abs_().add_(0.5)
    return model.double().eval()


def made(shape: Shape, layers: Layers) -> list[nn.Module]:
    """The layers as modules."""
    modules = []
    for kind, chosen in layers:
        modules.append(EVERY[kind].make(shape, **chosen))
        shape = shape_behind(shape, modules[-1])
    return modules


def shape_behind(shape: Shape, module: nn.Module) -> Shape:
    """What a layer makes of a row."""
    with torch.no_grad():
        return tuple(ready(module, 0)(torch.ones(2, *shape, dtype=torch.float64)).shape[1:])


def behind(shape: Shape, layers: Layers) -> Shape:
    for kind, chosen in layers:
        shape = shape_behind(shape, EVERY[kind].make(shape, **chosen))
    return shape


# ---- layers made of layers


class Like(nn.Module):
    """Layers, and behind them a dense one where the shape would not be what it was before."""

    def __init__(self, shape: Shape, layers: Layers) -> None:
        super().__init__()
        modules, end = made(shape, layers), behind(shape, layers)
        if end != shape:
            modules += [nn.Flatten(), nn.Linear(math.prod(end), math.prod(shape)), nn.Unflatten(1, shape)]
        self.inner = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


JOINED: dict[str, Callable[[Tensor, nn.Module], Tensor]] = {
    "x + f(x)": lambda x, f: x + f(x),
    "f(x) += x": lambda x, f: f(x).add_(x),
    "x += f(x)": lambda x, f: x.add_(f(x)),
    "f(x) - 2x": lambda x, f: torch.sub(f(x), x, alpha=2),
    "cat": lambda x, f: torch.cat([x, f(x)], 1),
    "f(f(x))": lambda x, f: f(f(x)),
    "f(x) + 2f(-x)": lambda x, f: f(x) + 2 * f(-x),  # once each, they would cancel where f is odd
    "x · σ(f(x))": lambda x, f: x * torch.sigmoid(f(x)),
    "x · f(x)": lambda x, f: x * f(x),
    "x / (1 + f(x)²)": lambda x, f: x / (1 + f(x) ** 2),
    "squeeze and excite": lambda x, f: x * torch.sigmoid(f(x).flatten(1).mean(1).reshape(-1, *[1] * (x.ndim - 1))),
    "max(x, f(x))": lambda x, f: torch.maximum(x, f(x)),
    "stack": lambda x, f: torch.stack([x, f(x)], 0).sum(0),
    "mean of three": lambda x, f: torch.stack([x, f(x), f(x) * 2], -1).mean(-1),
    "x @ f(x)": lambda x, f: x.flatten(1, -2) @ f(x).flatten(1, -2).mT if x.ndim > 2 else x * f(x),
}

FOLDED: dict[str, Callable[[Tensor, nn.Module], Tensor]] = {
    "axis 1 into the batch": lambda x, f: f(x.flatten(0, 1)).unflatten(0, x.shape[:2]),
    "axis 1 into the batch, it first": lambda x, f: (
        f(x.transpose(0, 1).flatten(0, 1)).unflatten(0, (x.shape[1], len(x))).transpose(0, 1)
    ),
    "axis 1 by turns": lambda x, f: torch.stack([f(piece) for piece in x.unbind(1)], 1),
}


def _branch(shape: Shape) -> SearchStrategy[Settings]:
    return choices(join=JOINED, inner=chains(shape, 2))


def _make_branch(shape: Shape, join: str, inner: Layers) -> nn.Module:
    return Do(JOINED[join], Like(shape, inner))


def _folded(shape: Shape) -> SearchStrategy[Settings]:
    return choices(how=FOLDED, inner=chains(shape[1:], 2))


def _make_folded(shape: Shape, how: str, inner: Layers) -> nn.Module:
    return Do(FOLDED[how], nn.Sequential(*made(shape[1:], inner)))


SIMPLE: dict[str, Kind] = {**KINDS, **SEQUENCES, **MOVES}
EVERY: dict[str, Kind] = {
    **SIMPLE,
    "branch": Kind(_branch, _make_branch),
    "folded": Kind(_folded, _make_folded, lambda shape: len(shape) > 1),
}


# What is not piecewise affine, or bends elsewhere than at zero without being a sum with a constant.
CURVED = {
    "bilinear", "instance norm", "group norm", "layer norm", "rms norm", "local norm", "softmax", "gated", "attention",
    "multihead", "encoder", "recurrent",
}  # fmt: skip
STRAIGHT = {
    "activation": {"ReLU", "LeakyReLU", "RReLU", "PReLU", "Dropout", "Identity", "abs"},
    "normalized": {"centred"},
    "arithmetic": {
        "x + 0.3", "1 - x", "x + w", "w - x", "x * w", "-x / 2", "x / (1 + w²)", "x += w", "x *= w", "x *= 2; x -= 1",
        "where", "masked_fill", "masked_fill_", "maximum",
    },
    "pool": {"Max", "Avg", "Avg inside"},
    "reduce": {"mean", "sum", "max", "amax", "cumsum", "topk", "sort", "first and last"},
    "branch": {
        "x + f(x)", "f(x) += x", "x += f(x)", "f(x) - 2x", "cat", "f(f(x))", "f(x) + 2f(-x)", "max(x, f(x))", "stack",
        "mean of three",
    },
}  # fmt: skip


def is_straight(layers: Layers) -> bool:
    """Whether the layers are piecewise affine, and R = a ⊙ ∂f/∂a holds behind them where it holds above."""
    return all(
        kind not in CURVED
        and (kind not in STRAIGHT or any(said in STRAIGHT[kind] for said in chosen.values() if isinstance(said, str)))
        and is_straight(chosen.get("inner", ()))
        for kind, chosen in layers
    )


@st.composite
def chains(draw: Any, shape: Shape, longest: int, kinds: dict[str, Kind] = SIMPLE, straight: bool = False) -> Layers:
    """Layers that fit one behind the other; of pieces that are straight through zero where that is asked for."""
    layers: list[tuple[str, Settings]] = []
    for _ in range(draw(st.integers(1, longest))):
        fitting = [kind for kind, known in kinds.items() if known.fits(shape) and not (straight and kind in CURVED)]
        kind = draw(st.sampled_from(fitting))
        layer = (kind, draw(EVERY[kind].settings(shape)))
        if straight and not is_straight((layer,)):
            continue
        end = behind(shape, (layer,))
        if not 0 < math.prod(end) <= MOST:
            continue
        layers.append(layer)
        shape = end
    return tuple(layers)


SHAPES: tuple[Shape, ...] = ((4,), (3, 4), (2, 4, 4), (1, 5, 3), (4, 1, 2), (4, 6), (6,), (2, 3, 2, 3))


@st.composite
def networks(draw: Any, first: str | None = None, longest: int = 5, straight: bool = False) -> Network:
    """A small network, or where a kind of layer is named, one that begins with it."""
    shapes = [shape for shape in SHAPES if first is None or EVERY[first].fits(shape)]
    shape = draw(st.sampled_from(shapes))
    layers = () if first is None else ((first, draw(EVERY[first].settings(shape))),)
    layers += draw(chains(behind(shape, layers), longest, EVERY, straight))
    return Network(shape, layers, draw(st.sampled_from((2, 3))), draw(st.booleans()), draw(st.integers(0, 9)))


# ---- settings


def values(known: Param) -> SearchStrategy[Any]:
    """The default, the ends of the slider, and what lies between."""
    low, high = known.shown
    if known.kind == "choice":
        return st.sampled_from(known.choices)
    if known.kind == "switch":
        return st.booleans()
    between = st.floats(0, 1).map(lambda t: low * (high / low) ** t if known.log else low + t * (high - low))
    if known.kind == "range":
        return st.tuples(between, between).map(lambda pair: tuple(sorted(pair)))
    return st.sampled_from((known.default, low, high)) | between.map(lambda v: min(max(v, low), high))


def of_kind(kind: Any, **more: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """A setting with every parameter drawn."""
    drawn = {known.name: values(known) for known in params_of(kind)}
    if hasattr(kind, "low"):
        drawn |= {"low": st.sampled_from((-3.0, 0.0, -0.5)), "high": st.sampled_from((3.0, 0.5))}
    return st.builds(kind, **drawn, **more)


def rules() -> SearchStrategy[Rule]:
    return st.one_of([of_kind(kind) for kind in RULES])


def _entries() -> SearchStrategy[list[lw.Entry]]:
    where = st.sampled_from(("input", "dense", "convolution", "normalization", lw.Depth(0.3, 0.7)))
    return st.tuples(st.lists(st.builds(lw.Entry, rules(), where), max_size=2), rules()).map(
        lambda drawn: [*drawn[0], lw.Entry(drawn[1])]
    )


def composites() -> SearchStrategy[lw.Composite]:
    """A composite of any rules, or a preset, with any parameters and options."""
    options = {known.name: values(known) for known in params_of(Options)}
    own = st.builds(lw.Composite, _entries(), **options)
    return st.one_of(own, *[of_kind(kind) for kind in PRESETS])
