"""Relevance in, relevance out, on every classifier of torchvision: python benchmarks/conservation.py [NAME …].

Random weights, one random image, the top class; ε, α1β0, α2β1 and γ, with no code for any architecture.
Writes docs/conservation.md when no name is given. Needs the extra `peers` and 8 GB; takes twenty minutes on one core.
"""

from __future__ import annotations

import gc
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision_import import let_torchvision_import

import lrp_widgets as lw
from lrp_widgets.engine.propagation.explanation import Explanation, LayerRelevance

SHEET = Path(__file__).parents[1] / "docs" / "conservation.md"
# One of each family that torchvision lists (its smallest), and the ones that people ask about.
NAMES = (
    "alexnet", "vgg11", "vgg16", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2",
    "densenet121", "squeezenet1_1", "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5",
    "shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny",
    "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t",
)  # fmt: skip
ABOVE = {
    "α1β0": lw.alpha_beta(alpha=1),
    "α2β1": lw.alpha_beta(alpha=2),
    "γ": lw.Composite(entries=(lw.Entry(lw.rules.Gamma(0.25)),)),
}
COMPOSITES = {"ε": lw.epsilon(), **ABOVE}
BARE = {"ε → 0": lw.epsilon(epsilon=0), **ABOVE}
CONSTANT_ATTENTION = lw.epsilon(epsilon=0, attention="held constant")
CONSTANT = ("bias", "class_token", "pos_embedding")  # parameters that are added, and so absorb


def build(name: str) -> nn.Module:
    """A network of torchvision for ten classes, with random weights; nothing is downloaded."""
    from torchvision import models

    torch.manual_seed(0)
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, num_classes=10, **extra)


def image(name: str, rows: int = 1) -> Tensor:
    torch.manual_seed(1)
    size = 299 if name == "inception_v3" else 224
    return torch.rand(rows, 3, size, size)


def brought_to_life(model: nn.Module, images: Tensor) -> nn.Module:
    """In evaluation mode, with every parameter that starts as one number (a bias 0, a layer's scale 1e-6) drawn, and
    with the statistics of some images: as they start, most biases absorb nothing and whole blocks are silent."""
    torch.manual_seed(2)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if parameter.numel() > 1 and bool((parameter == parameter.flatten()[0]).all()):
                scales = parameter.squeeze().ndim < 2 and not any(word in path for word in CONSTANT)
                parameter.uniform_(0.5, 1.5) if scales else parameter.normal_(std=0.02)
    torch.optim.swa_utils.update_bn([images], model)
    return model.eval()


def without_biases(model: nn.Module, images: Tensor) -> nn.Module:
    """The same network in double precision with everything zero that is merely added (a mean is subtracted)."""
    with torch.no_grad():
        for path, parameter in model.double().named_parameters():
            if any(word in path for word in CONSTANT):
                parameter.zero_()
        torch.optim.swa_utils.update_bn([images.double()], model)
        for path, buffer in model.named_buffers():
            if path.endswith("running_mean"):
                buffer.zero_()
    return model.eval()


@dataclass(frozen=True)
class Balance:
    """What several composites did to one network: the ratios ΣR / f, and where the rest is."""

    ratios: dict[str, float]
    most: tuple[float, str, str]  # the largest amount that one cause kept, as a share of f; the cause, the composite
    unexplained: float  # the largest share of a step's Σ|R|
    open: int  # steps whose ledger does not close
    lost: float  # |(ΣR + all that has a name) / f − 1|
    fallbacks: tuple[str, ...]


def balance(explainer: lw.Explainer, x: Tensor, composites: dict[str, lw.Composite]) -> tuple[Balance, Explanation]:
    """Explain the top class at x under each composite; with the last explanation."""
    ratios, most, unexplained, unclosed, lost = {}, (0.0, "–", ""), 0.0, 0, 0.0
    fallbacks: set[str] = set()
    explanation = None
    for title, composite in composites.items():
        explanation = explainer.explain(x, method=lw.LRP(composite))
        score, total = float(explanation.explained), float(explanation.total)
        ratios[title] = total / score
        unexplained = max(unexplained, *map(missing, explanation.layers))
        unclosed += sum(not layer.closes for layer in explanation.layers)
        fallbacks |= set(explanation.fallbacks)
        amounts = {cause: float(amount) for cause, amount in explanation.absorbed.items()}
        lost = max(lost, abs((total + sum(amounts.values())) / score - 1))
        most = max(
            [most, *((amount / score, cause, title) for cause, amount in amounts.items())], key=lambda m: abs(m[0])
        )
    assert explanation is not None
    return Balance(ratios, most, unexplained, unclosed, lost, tuple(sorted(fallbacks))), explanation


def missing(layer: LayerRelevance) -> float:
    """What has no name in a step, as a share of Σ|R| on either side of it."""
    size = layer.positive - layer.negative + layer.relevance_in.abs() + sum(v.abs() for v in layer.absorbed.values())
    return float((layer.unexplained.abs() / size.clamp(min=1e-30)).max())


@dataclass(frozen=True)
class Row:
    """One network as it is (single precision) and without its biases (double precision)."""

    name: str
    steps: int
    ops: int
    whole: Balance
    bare: Balance
    exact: float  # |ΣR / f − 1| of the bare network with ε = 0 and attention held constant
    batch: float  # how far a batch of two is from the two alone, as a share of the largest |R|


def measured(name: str) -> Row:
    images = image(name, 4)
    x = images[:1]
    model = brought_to_life(build(name), images)
    whole, explanation = balance(lw.Explainer(model), x, COMPOSITES)
    steps, ops = explanation.steps, len({layer.op for layer in explanation.layers})
    del explanation
    gc.collect()
    explainer = lw.Explainer(without_biases(model, images))
    bare, alone = balance(explainer, x.double(), BARE)
    explanation = explainer.explain(x.double(), method=lw.LRP(CONSTANT_ATTENTION))
    exact = abs(float(explanation.total) / float(explanation.explained) - 1)
    pair = explainer.explain(images[:2].double(), method=alone.method)
    batch = float((pair.relevance[:1] - alone.relevance).abs().max() / alone.relevance.abs().max())
    return Row(name, steps, ops, whole, bare, exact, batch)


HEAD = """# What becomes of the relevance in every classifier of torchvision

Made by `make conservation` with torch {torch}, torchvision {torchvision}, Python {python}.
Random weights, one random image, the top class of ten; no code anywhere knows any of these networks.

The columns ε, α1β0, α2β1 and γ are ΣR / f: what arrives at the pixels for each unit of score.
What is missing from 1, or above it, stands in the ledger under the name of what kept it or put it in.
"""
WHOLE = """
## With biases, in single precision

Parameters that start as one number (biases, scales, some heads) are drawn, BatchNorm has the statistics of four images.
In untrained networks contributions cancel: under LRP-ε some layers hold 10⁴ f of either sign, and biases take of that.

- **most kept**: the largest amount that one cause kept in the whole network, as a share of f, and under which rules.
- **unexplained**: the largest amount of any step that no cause accounts for, as a share of the step's Σ|R|: rounding.
- **open**: steps whose ledger does not close, in all four explanations together.
- **fallbacks**: operations passed to first order, because nobody said how they pass relevance.

"""
BARELY = """
## Without biases, in double precision

All that is merely added is zero: biases, class token, positions, running means.

- **held**: |ΣR / f − 1| with ε = 0 and attention held constant. Nothing is left that could keep relevance.
- The ratios have attention as in AttnLRP, whose softmax keeps some: swin, vit and maxvit cannot give 1. Neither can αβ
  where a neuron's contributions all have one sign: it hands on α R or nothing, and networks whose blocks end without
  ReLU (mobilenet, mnasnet, shufflenet, efficientnet) have such neurons.
- **lost**: |(ΣR + all that was kept) / f − 1|, the worst of the four.
- **batch**: how far an image explained in a batch of two is from itself alone, as a share of its largest |R|, under γ.

"""
FOOT = """
## What is refused or approximated

- Refused: complex inputs and scores, quantized layers, a layer in training mode that computes something else there,
  an output that left torch.
- Normalizations hold their standard deviation constant, gates hold theirs (`product="half"` shares instead), attention
  is AttnLRP (`attention="held constant"` gives all to the values). What their shifts and softmax keep is in the ledger.
- An operation that is not in `lw.operators.OPERATORS` is passed as a ⊙ vjp(R / z) and named in `explanation.fallbacks`
  and by `lw.examine`. None of the networks above has one.
"""


def table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def cells_of(result: Balance) -> list[str]:
    share, cause, title = result.most
    return [*(f"{ratio:.4g}" for ratio in result.ratios.values()), f"{share:.2g} f, {cause}, {title}" if title else "–"]


def whole_cells(row: Row) -> list[str]:
    result = row.whole
    rest = [f"{result.unexplained:.0e}", str(result.open), ", ".join(result.fallbacks) or "none"]
    return [row.name, str(row.steps), str(row.ops), *cells_of(result), *rest]


def bare_cells(row: Row) -> list[str]:
    return [row.name, f"{row.exact:.0e}", *cells_of(row.bare), f"{row.bare.lost:.0e}", f"{row.batch:.0e}"]


def sheet(rows: list[Row], torchvision: str) -> str:
    versions = {"torch": torch.__version__.partition("+")[0], "torchvision": torchvision.partition("+")[0]}
    wholes = ["network", "steps", "ops", *COMPOSITES, "most kept", "unexplained", "open", "fallbacks"]
    bares = ["network", "held", *BARE, "most kept", "lost", "batch"]
    return (
        HEAD.format(python=platform.python_version(), **versions)
        + (WHOLE + table(wholes, list(map(whole_cells, rows))))
        + (BARELY + table(bares, list(map(bare_cells, rows))))
        + FOOT
    )


def main(names: list[str]) -> None:
    """Measure the networks named, or all of them into docs/conservation.md."""
    library = let_torchvision_import()  # its definitions live as long as it does
    import torchvision

    rows = []
    for name in names or NAMES:
        rows.append(measured(name))
        print(*whole_cells(rows[-1]), *bare_cells(rows[-1])[1:], sep=" | ", flush=True)
        gc.collect()
    del library
    if not names:
        SHEET.write_text(sheet(rows, torchvision.__version__), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
