"""How good prototypes are, in numbers: python benchmarks/prototypes.py (make prototypes).

Ten digits, eight seeds each, one expert after another. How often another network, which was not asked, names the class
is what counts: the asked network's own probability is 1 for what nobody would call a digit, and nearness alone rewards
blank pages. Writes docs/prototypes.md.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lrp_widgets as lw

PAGE = Path(__file__).parents[1] / "docs" / "prototypes.md"
SEEDS, STEPS = 8, 150
TURNS = (lw.transformations.Jitter(1), lw.transformations.Rotate(8.0), lw.transformations.Scale(0.95, 1.05))
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def experts(samples: lw.Samples) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """By name: the expert, and the changes that prototypes must bear."""
    gaussian, machine = lw.experts.Gaussian.fit(samples, 0.1), lw.experts.RBM.fit(samples, 0.3, epochs=200)
    return {
        "none": (lw.experts.NoExpert(), ()),
        "L2, λ = 0.01": (lw.experts.L2(0.01), ()),
        "L2 around the mean, λ = 0.1": (lw.experts.L2(0.1, around=samples.inputs.mean(0)), ()),
        "total variation, s = 0.1": (lw.experts.TotalVariation(0.1), ()),
        "Gaussian, s = 0.1": (gaussian, ()),
        "Gaussian, s = 0.1, small turns and shifts": (gaussian, TURNS),
        "RBM, s = 0.3": (machine, ()),
        "RBM, s = 0.3, small turns and shifts": (machine, TURNS),
    }


def measured(samples: lw.Samples, expert: Any, robust: tuple[Any, ...], steps: int = STEPS) -> tuple[float, ...]:
    """Shares named by the other and by the asked network, share whose nearest digit is of the class, distances."""
    model, judge = lw.demo.models.digits_cnn(), lw.demo.models.digits_mlp()
    named, own, nearest, distance, spread = [], [], [], [], []
    for digit in range(10):
        found = lw.prototype(
            model,
            lw.objectives.LogProbability(digit),
            samples,
            expert,
            count=SEEDS,
            steps=steps,
            robust=robust,
            seed=digit,
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
        f"Made by `make prototypes`: digits_cnn is climbed (log p(ω_c | x) + log p(x), {STEPS} steps), ten digits of "
        f"{SEEDS} seeds each; torch {torch.__version__}, {platform.machine()}.",
        "",
        "- **named**: how often digits_mlp, which was not asked, names the class. **own**: how often digits_cnn does.",
        "- **nearest**: how often the nearest of the shipped digits is of the class; **distance** to it.",
        "- **spread**: the mean distance between the prototypes of one class.",
        "",
        "| expert | named | own | nearest | distance | spread |",
        "|---|---|---|---|---|---|",
    ]
    for name, (expert, robust) in experts(samples).items():
        named, own, nearest, distance, spread = measured(samples, expert, robust)
        lines.append(f"| {name} | {named:.0%} | {own:.0%} | {nearest:.0%} | {distance:.2f} | {spread:.2f} |")
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
        expert = lw.experts.Gaussian.fit(samples, strength)
        named, own, nearest, distance, spread = measured(samples, expert, ())
        lines.append(f"| {strength:g} | {named:.0%} | {own:.0%} | {nearest:.0%} | {distance:.2f} | {spread:.2f} |")
        print(lines[-1], flush=True)
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
