"""Relevance in, relevance out, on every classifier of torchvision: python benchmarks/conservation.py [NAME …].

Random weights, one random image, the top class; ε, α1β0, α2β1 and γ, with no code for any architecture.
Writes docs/conservation.md when no name is given. Needs the extra `peers`; takes about ten minutes.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.explanation import LayerRelevance

SHEET = Path(__file__).parents[1] / "docs" / "conservation.md"
# One of each family that torchvision lists (its smallest), and the ones that people ask about.
NAMES = (
    "alexnet", "vgg11", "vgg16", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2",
    "densenet121", "squeezenet1_1", "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5",
    "shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny",
    "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t",
)  # fmt: skip
COMPOSITES = {
    "ε": lw.epsilon(epsilon=1e-6, relative=True),
    "α1β0": lw.alpha_beta(alpha=1),
    "α2β1": lw.alpha_beta(alpha=2),
    "γ": lw.Composite([lw.Entry(lw.rules.Gamma(0.25))]),
}
CONSTANT = ("bias", "class_token", "pos_embedding")  # parameters that are added, and so absorb


def let_torchvision_import() -> torch.library.Library | None:
    """Beside a CPU-only torch its compiled part cannot load: two of its ops must be defined before it is imported."""
    spec = importlib.util.find_spec("torchvision")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        try:
            for compiled in Path(folder).glob("_C*"):
                torch.ops.load_library(compiled)
        except OSError:
            library = torch.library.Library("torchvision", "DEF")
            for op in ("nms", "qnms"):
                library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            return library
    return None


def build(name: str, classes: int = 10) -> nn.Module:
    """A network of torchvision with random weights, in evaluation mode; nothing is downloaded."""
    from torchvision import models

    torch.manual_seed(0)
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = models.get_model(name, weights=None, num_classes=classes, **extra).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if not path.endswith("bias") and not parameter.any():  # a head that starts at zero says nothing
                parameter.normal_(std=0.02)
    return model


def image(name: str, rows: int = 1) -> Tensor:
    torch.manual_seed(1)
    size = 299 if name == "inception_v3" else 224
    return torch.rand(rows, 3, size, size)


def without_biases(model: nn.Module) -> nn.Module:
    """In double precision, every bias zero, statistics as of data that was seen (a mean is a bias too)."""
    model = model.double()
    torch.manual_seed(2)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if any(word in path for word in CONSTANT):
                parameter.zero_()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
                module.running_var.uniform_(0.5, 1.5)
    return model


@dataclass(frozen=True)
class Row:
    """What one network did: the ratios ΣR / f, the largest named amount, the largest unexplained one."""

    name: str
    steps: int
    ops: int
    ratios: dict[str, float]
    absorbed: tuple[float, str, str]
    unexplained: float
    fallbacks: tuple[str, ...]
    exact: float


def measured(name: str) -> Row:
    """Explain one network as it is (single precision), and without its biases (double precision)."""
    model, x = build(name), image(name)
    explainer = lw.Explainer(model)
    ratios, absorbed, unexplained, fallbacks = {}, (0.0, "–", ""), 0.0, set()
    for title, composite in COMPOSITES.items():
        explanation = explainer.explain(x, method=lw.LRP(composite))
        score = float(explanation.explained)
        ratios[title] = float(explanation.total) / score
        unexplained = max(unexplained, *map(missing, explanation.layers))
        fallbacks |= set(explanation.fallbacks)
        for cause, amount in explanation.absorbed.items():
            share = float(amount) / score
            if abs(share) > abs(absorbed[0]):
                absorbed = (share, cause, title)
    ops = len({layer.op for layer in explanation.layers})
    bare = lw.Explainer(without_biases(model)).explain(
        x.double(), method=lw.LRP(lw.epsilon(epsilon=0, attention="held constant"))
    )
    exact = abs(float(bare.total) / float(bare.explained) - 1)
    return Row(name, explanation.steps, ops, ratios, absorbed, unexplained, tuple(sorted(fallbacks)), exact)


def missing(layer: LayerRelevance) -> float:
    """What has no name in a step, as a share of Σ|R| on either side of it."""
    size = layer.positive - layer.negative + layer.relevance_in.abs() + sum(v.abs() for v in layer.absorbed.values())
    return float((layer.unexplained.abs() / size.clamp(min=1e-30)).max())


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


HEAD = """# What becomes of the relevance in every classifier of torchvision

Made by `python benchmarks/conservation.py` with torch {torch}, torchvision {torchvision}, Python {python}.
Random weights, one random image, the top class of ten; no code anywhere knows any of these networks.

- **ΣR / f** with the networks as they are, in single precision, biases and all: what is missing from 1 was absorbed.
  ε is 1e-6 of each layer's root mean square.
- **most absorbed**: the largest amount that some cause kept, as a share of f, and under which rules.
- **unexplained**: the largest amount of any step that no cause accounts for, as a share of the step's Σ|R|. Rounding.
- **bare**: |ΣR / f − 1| of the same network in double precision with ε = 0, all that is merely added (biases, class
  token, positions) zero, and attention held constant: nothing is left that could absorb, and rounding remains.
- **fallbacks**: operations passed to first order because nobody said how they pass relevance.

| network | steps | ops | {composites} | most absorbed | unexplained | bare | fallbacks |
|---|---|---|{lines}---|---|---|---|
"""
FOOT = """
## What is refused or approximated

- Complex numbers, a model in training mode, an output that left torch: refused, with the layer's name.
- Normalizations hold their standard deviation constant, gates hold theirs (`product="half"` shares instead), attention
  is AttnLRP (`attention="held constant"` gives all to the values). What their shifts and softmax keep is in the ledger.
- An operation that is not in `lw.operators.OPERATORS` is passed as a ⊙ vjp(R / z) and named in `explanation.fallbacks`
  and by `lw.examine`. None of the networks above has one.
"""


def line(row: Row) -> str:
    ratios = " | ".join(f"{row.ratios[title]:.4g}" for title in COMPOSITES)
    share, cause, title = row.absorbed
    most = f"{share:.2g} f, {cause}, {title}" if title else "–"
    fallbacks = ", ".join(row.fallbacks) or "none"
    return (
        f"| {row.name} | {row.steps} | {row.ops} | {ratios} | {most} | {row.unexplained:.0e} | {row.exact:.0e} | "
        f"{fallbacks} |"
    )


def main(names: list[str]) -> None:
    """Measure the networks named, or all of them into docs/conservation.md."""
    library = let_torchvision_import()  # its definitions live as long as it does
    import torchvision

    rows = []
    for name in names or NAMES:
        rows.append(measured(name))
        print(line(rows[-1]), flush=True)
    del library
    if not names:
        head = HEAD.format(
            torch=torch.__version__.partition("+")[0],
            torchvision=torchvision.__version__.partition("+")[0],
            python=platform.python_version(),
            composites=" | ".join(f"ΣR / f, {title}" for title in COMPOSITES),
            lines="---|" * len(COMPOSITES),
        )
        SHEET.write_text(head + "\n".join(map(line, rows)) + "\n" + FOOT, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
