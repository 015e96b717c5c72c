"""How the cost grows: python benchmarks/growth.py (make growth), which writes docs/growth.svg and docs/growth.md.

Batch from 1 to 64, image side from 64 to 512, depth from ResNet18 to ResNet152; the model's own forward pass beside it.
Each point is the quickest of a few rounds in seconds of one core, which mind no neighbours, and the exponent is the
slope of a straight line through all points on log scales.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import torch
from matplotlib import pyplot
from torch import Tensor, nn
from torchvision_import import let_torchvision_import

import lrp_widgets as lw
from lrp_widgets.apps.session.memory import reuse_memory

DOCS = Path(__file__).parents[1] / "docs"
ROUNDS = 4
COMPOSITES = {"ε": lw.epsilon(epsilon=1e-6), "α2β1": lw.alpha_beta(alpha=2)}
DEPTHS = (18, 34, 50, 101, 152)


def resnet(depth: int) -> nn.Module:
    from torchvision import models

    torch.manual_seed(0)
    return models.get_model(f"resnet{depth}", weights=None).eval().requires_grad_(False)


def quickest(work: Callable[[], Any]) -> float:
    """The quickest of a few rounds, after one to get warm."""
    work()
    times = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def point(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Seconds of one forward pass and of each explanation of a new input."""
    explainer = lw.Explainer(model)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    times = {"forward": quickest(forward)}
    for title, composite in COMPOSITES.items():
        times[title] = quickest(lambda c=composite: explainer.explain(x + torch.rand(()), 0, lw.LRP(c)))
    return times


def sweeps() -> Iterator[tuple[str, list[float], list[dict[str, float]]]]:
    """Title, the numbers along the axis, and what was measured at each."""
    small = resnet(18)
    batches = [1, 2, 4, 8, 16, 32, 64]
    yield "batch (ResNet18, 64 × 64)", [*map(float, batches)], [point(small, torch.rand(n, 3, 64, 64)) for n in batches]
    sides = [64, 96, 128, 192, 256, 384, 512]
    yield "image side (ResNet18)", [*map(float, sides)], [point(small, torch.rand(1, 3, n, n)) for n in sides]
    deep = [point(resnet(depth), torch.rand(1, 3, 128, 128)) for depth in DEPTHS]
    yield "depth (ResNet18 … 152, 128 × 128)", [*map(float, DEPTHS)], deep


def slope(x: list[float], y: list[float]) -> float:
    """The exponent of a power law through the points."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def main() -> None:
    """Measure, draw, and write the exponents."""
    reuse_memory()
    torch.set_num_threads(1)
    library = let_torchvision_import()  # its definitions live as long as it does
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    rows = []
    for axis, (title, along, points) in zip(axes, sweeps(), strict=True):
        exponents = {}
        for what in points[0]:
            seconds = [one[what] for one in points]
            exponents[what] = slope(along, seconds)
            dashed = {"linestyle": "--", "color": "0.5"} if what == "forward" else {}
            label = f"{what}: exponent {exponents[what]:.2f}"
            axis.loglog(along, [1000 * s for s in seconds], marker="o", markersize=3, label=label, **dashed)
        axis.set_xlabel(title)
        axis.set_xticks(along, [f"{value:g}" for value in along])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
        times = [f"{points[-1][what] / points[-1]['forward']:.1f}" for what in COMPOSITES]
        rows.append(f"| {title} | " + " | ".join(f"{e:.2f}" for e in exponents.values()) + f" | {', '.join(times)} |")
        print(rows[-1], flush=True)
    axes[0].set_ylabel("ms")
    pyplot.rcParams["svg.hashsalt"] = "growth"
    figure.savefig(DOCS / "growth.svg", metadata={"Date": None})
    del library
    (DOCS / "growth.md").write_text(
        "# How the cost grows\n\n"
        "`make growth` writes this page. Time of an explanation of a new input (recording, all rules, ledger) and of "
        "the model's own forward pass;\nthe exponent is the slope of a line through all points on log scales. "
        "Along the batch it grows like the\nforward pass, along the image side slower. Along depth faster: each "
        "recorded step costs a fixed part of a millisecond, and from ResNet50 on\nnot all packed weights fit into "
        "what is kept.\n\n"
        "![Time over batch, image side and depth](growth.svg)\n\n"
        "| along | forward | " + " | ".join(COMPOSITES) + " | times the forward at the last point |\n"
        "| --- | --- | " + "--- | " * len(COMPOSITES) + "--- |\n" + "\n".join(rows) + "\n\n"
        f"torch {torch.__version__}, one core, {platform.machine()}.\n",
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    main()
