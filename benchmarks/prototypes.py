"""How good prototypes are, in numbers: python benchmarks/prototypes.py (make prototypes).

Ten digits, eight seeds each, one expert after another. How often another network, which was not asked, names the class
is what counts: the asked network's own probability is 1 for what nobody would call a digit, and nearness alone rewards
blank pages. Writes docs/prototypes.md.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lrp_widgets as lw

PAGE = Path(__file__).parents[1] / "docs" / "prototypes.md"
SEEDS, STEPS, RATE = 8, 150, 0.1
TURNS = (lw.transformations.Jitter(1), lw.transformations.Rotate(8.0), lw.transformations.Scale(0.95, 1.05))
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LAYER = "features.6"  # where likeness is held down


@dataclass(frozen=True)
class Row:
    """One line of the table: how digits_cnn is climbed."""

    name: str
    expert: Any
    robust: tuple[Any, ...] = ()
    image: Any = None
    diversity: Any = None
    objective: Any = lw.objectives.Logit
    rate: float | None = RATE


def rows(samples: lw.Samples) -> list[Row]:
    """The experts and generators of the package, on the score of the class unless the name says otherwise."""
    gaussian, machine = lw.demo.experts.digits_gaussian, lw.demo.experts.digits_rbm
    decoder, code = lw.demo.generators.digits_vae(), lw.parameterizations.Code
    none, log_p = lw.experts.NoExpert(), lw.objectives.LogProbability
    return [
        Row("none", none),
        Row("L2, λ = 0.1", lw.experts.L2(0.1)),
        Row("L2 around the mean, λ = 0.1", lw.experts.L2(0.1, around=samples.inputs.mean(0))),
        Row("total variation, s = 0.1", lw.experts.TotalVariation(0.1)),
        Row("Gaussian, s = 0.03", gaussian(0.03)),
        Row("Gaussian, s = 0.03, diversity 1", gaussian(0.03), diversity=lw.Diversity(LAYER, 1.0)),
        Row("Gaussian, s = 0.03, log p(ω_c \\| x)", gaussian(0.03), objective=log_p),
        Row("Gaussian, s = 0.3, small turns and shifts", gaussian(0.3), TURNS),
        Row("RBM, s = 0.1", machine(0.1)),
        Row("RBM, s = 0.1, small turns and shifts", machine(0.1), TURNS),
        Row(
            "VAE code, λ = 0.1, random starts, log p(ω_c \\| x)",
            lw.experts.L2(0.1),
            image=code(decoder),
            objective=log_p,
        ),
        Row("the same on the shell ‖z‖ = √k, small turns", none, TURNS, code(decoder, shell=True), None, log_p, 0.05),
        Row("the same, best of 32 starts", none, TURNS, code(decoder, draws=32, shell=True), None, log_p, 0.05),
    ]


def measured(samples: lw.Samples, row: Row) -> tuple[float, ...]:
    """Shares named by the other and by the asked network, share whose nearest digit is of the class, distances."""
    model, judge = lw.demo.models.digits_cnn(), lw.demo.models.digits_mlp()
    named, own, nearest, distance, spread = [], [], [], [], []
    for digit in range(10):
        found = lw.prototype(
            model,
            row.objective(digit),
            samples,
            row.expert,
            row.image,
            SEEDS,
            STEPS,
            seed=digit,
            robust=row.robust,
            diversity=row.diversity,
            rate=row.rate,
        ).inputs
        named.append((judge(found).argmax(1) == digit).double().mean())
        own.append((model(found).argmax(1) == digit).double().mean())
        gaps = torch.cdist(found.flatten(1), samples.inputs.flatten(1))
        labels = samples.labels
        assert isinstance(labels, Tensor)
        nearest.append((labels[gaps.argmin(1)] == digit).double().mean())
        distance.append(gaps.amin(1).double().mean())
        spread.append(torch.pdist(found.flatten(1)).double().mean())
    return tuple(float(torch.stack(column).mean()) for column in (named, own, nearest, distance, spread))


def main() -> None:
    """Measure all and write the page."""
    torch.set_num_threads(1)
    samples = lw.demo.data.digits()
    lines = [
        "# Prototypes in numbers",
        "",
        f"Made by `make prototypes`: digits_cnn is climbed (its score of the class + log p(x), {STEPS} steps), ten "
        f"digits of {SEEDS} seeds each; torch {torch.__version__}, {platform.machine()}.",
        "",
        "- **named**: how often digits_mlp, which was not asked, names the class. **own**: how often digits_cnn does.",
        "- **nearest**: how often the nearest of the shipped digits is of the class; **distance** to it.",
        "- **spread**: the mean distance between the prototypes of one class.",
        "",
        "| expert | named | own | nearest | distance | spread |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows(samples):
        named, own, nearest, distance, spread = measured(samples, row)
        lines.append(f"| {row.name} | {named:.0%} | {own:.0%} | {nearest:.0%} | {distance:.2f} | {spread:.2f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "## Too weak, too strong",
        "",
        "The Gaussian's strength decides between the class and the data. Where it is weak, the network is pleased and "
        "others are not; where it is strong, the prototype becomes the mean digit, whatever the class.",
        "",
        "| strength s | named | own | nearest | distance | spread |",
        "|---|---|---|---|---|---|",
    ]
    for strength in STRENGTHS:
        row = Row("", lw.demo.experts.digits_gaussian(strength))
        named, own, nearest, distance, spread = measured(samples, row)
        lines.append(f"| {strength:g} | {named:.0%} | {own:.0%} | {nearest:.0%} | {distance:.2f} | {spread:.2f} |")
        print(lines[-1], flush=True)
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
