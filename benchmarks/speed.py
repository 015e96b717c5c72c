"""How close to the limit: python benchmarks/speed.py [short] [NETWORK …] (make bench).

Times are ratios to the floor, one forward pass and autograd's way back to the input, measured in turns in one process:
each work is timed right after a floor of its own, and the table has the median of these ratios. Peers (extra `peers`)
do the same explanation beside it. `short`: the small CNN and ResNet18, in a minute. Writes benchmarks/speed.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from conservation import let_torchvision_import
from torch import Tensor, nn

import lrp_widgets as lw

RESULTS = Path(__file__).with_name("speed.json")
NETWORKS = ("digits_cnn", "digits_cnn × 64", "resnet18", "resnet50", "vgg16")
SHORT = ("digits_cnn", "digits_cnn × 64", "resnet18")
EPSILON, PLUS = lw.epsilon(epsilon=1e-6), lw.alpha_beta(alpha=1)
BOTH, GAMMA = lw.alpha_beta(alpha=2), lw.epsilon_gamma_box(low=0, high=1)
# Time over floor that is aimed at, on VGG16 and ResNet at batch 1; None where there is no aim.
GOALS: dict[str, float | None] = {
    "forward": None,
    "record the tape": None,
    "full, ε": 0.75,
    "full, α1β0": 1.0,
    "full, α2β1": 1.35,
    "full, γ + z^B": 1.15,
    "α move": 0.70,
    "ε move": 0.5,
    "γ move": 0.65,
    "input rule alone": 0.02,
    "other class": 0.40,
    "ten classes": 5.0,
    "pixel flipping, a step": None,
    "zennit, ε + z⁺ + flat": None,
    "full, ε + z⁺ + flat": None,
    "captum, ε": None,
}
Work = Callable[[], Any]


def network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with what it is asked about."""
    if name.startswith("digits_cnn"):
        rows = 64 if name.endswith("64") else 1
        return lw.demo.models.digits_cnn(), lw.demo.data.digits().inputs[:rows]
    from torchvision import models

    torch.manual_seed(0)
    return models.get_model(name, weights=None).eval(), torch.rand(1, 3, 224, 224)


def works(model: nn.Module, x: Tensor) -> dict[str, Work]:
    """Everything that is timed on one network."""
    explainer = lw.Explainer(model)

    def full(composite: lw.Composite) -> Work:
        def work() -> None:
            other = x.clone()
            other[0, 0, 0, 0] = torch.rand(())  # another input: everything but the weights is done anew
            explainer.explain(other, 0, lw.LRP(composite))

        return work

    def move(*composites: lw.Composite) -> Work:
        turn = [0]

        def work() -> None:
            turn[0] += 1
            explainer.explain(x, 0, lw.LRP(composites[turn[0] % len(composites)]))

        return work

    def classes(*targets: int) -> Work:
        turn = [0]

        def work() -> None:
            turn[0] += 1
            explainer.explain(x, targets[turn[0] % len(targets)], lw.LRP(BOTH))

        return work

    def ten() -> None:
        for target in range(10):
            explainer.explain(x, target, lw.LRP(BOTH))

    def record() -> None:
        explainer.tape(torch.rand_like(x))

    def forward() -> None:
        with torch.no_grad():
            model(x)

    def flip() -> None:
        lw.pixel_flipping(model, x[:1], x[:1], 0, patch=x.shape[-1] // 7, batch=16)

    def gamma(value: float) -> lw.Composite:
        return lw.epsilon_gamma_box(low=0, high=1, gamma=value)

    return {
        "forward": forward,
        "record the tape": record,
        "full, ε": full(EPSILON),
        "full, α1β0": full(PLUS),
        "full, α2β1": full(BOTH),
        "full, γ + z^B": full(GAMMA),
        "α move": move(lw.alpha_beta(alpha=2.0), lw.alpha_beta(alpha=2.1)),
        "ε move": move(lw.epsilon(epsilon=1e-3), lw.epsilon(epsilon=1e-2)),
        "γ move": move(gamma(0.2), gamma(0.3)),
        "input rule alone": move(lw.alpha_beta(alpha=2, input="zB"), lw.alpha_beta(alpha=2, input="w2")),
        "other class": classes(0, 1),
        "ten classes": ten,
        "pixel flipping, a step": flip,
        "full, ε + z⁺ + flat": full(lw.epsilon_plus_flat()),
        **peers(model, x),
    }


def peers(model: nn.Module, x: Tensor) -> dict[str, Work]:
    """The same by zennit and captum, where they are installed and take the network."""
    found: dict[str, Work] = {}
    try:
        from zennit.attribution import Gradient
        from zennit.composites import EpsilonPlusFlat
    except ImportError:
        pass
    else:

        def zennit() -> None:
            start = torch.zeros(len(x), model(x[:1]).shape[1])
            start[:, 0] = 1
            with Gradient(model, EpsilonPlusFlat()) as attributor:
                attributor(x.clone().requires_grad_(), start)

        found["zennit, ε + z⁺ + flat"] = zennit
    try:
        from captum.attr import LRP
    except ImportError:
        return found

    def captum() -> None:
        LRP(model).attribute(x.clone().requires_grad_(), target=0)

    try:
        captum()
    except Exception as error:
        print(f"  captum refuses: {type(error).__name__}: {str(error)[:90]}")
    else:
        found["captum, ε"] = captum
    return found


def seconds(work: Work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measured(name: str, rounds: int) -> dict[str, Any]:
    """Medians of the ratios to the floor, and what they are made of."""
    model, x = network(name)
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    def floor() -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)

    ratios: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    floors = []
    todo = works(model, x)
    for work in (floor, *todo.values()):
        work()
    for _ in range(rounds):
        for title, work in todo.items():
            if title.endswith("move") or title in ("input rule alone", "other class"):
                work()  # what it moves away from
            floors.append(seconds(floor))
            took = seconds(work) / (51 if title.endswith("a step") else 1)
            times.setdefault(title, []).append(took)
            ratios.setdefault(title, []).append(took / floors[-1])
    return {
        "floor, s": statistics.median(floors),
        "ratio": {title: statistics.median(found) for title, found in ratios.items()},
        "s": {title: statistics.median(found) for title, found in times.items()},
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main(arguments: list[str]) -> None:
    """Measure, print, and write the numbers."""
    short = "short" in arguments
    names = [name for name in arguments if name != "short"] or list(SHORT if short else NETWORKS)
    library = let_torchvision_import()  # its definitions live as long as it does
    results: dict[str, Any] = {
        "torch": torch.__version__, "python": platform.python_version(), "threads": torch.get_num_threads(),
        "load before": os.getloadavg()[0], "networks": {},
    }  # fmt: skip
    for name in names:
        print(name)
        found = results["networks"][name] = measured(name, rounds=5 if short else 9)
        print(f"  floor {1000 * found['floor, s']:.1f} ms, load {os.getloadavg()[0]:.1f}")
        for title in [title for title in GOALS if title in found["ratio"]]:
            goal = GOALS[title]
            aim = f"   aim {goal:.2f}" if goal is not None else ""
            print(f"  {title:24} {found['ratio'][title]:7.2f}   {1000 * found['s'][title]:9.1f} ms{aim}", flush=True)
    del library
    RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
