"""How close to the limit: python benchmarks/speed.py [short] [NETWORK …] (make bench).

Times are ratios to the floor, one forward pass and autograd's way back to the input, measured in turns in one process:
each work is timed right after a floor of its own, and the table has the median of these ratios. Recording and pixel
flipping are compared to a forward pass in the same way. Peers (extra `peers`; Quantus where it is installed) do the
same beside it. `short`: the small CNN and ResNet18, in a minute. Writes benchmarks/speed.json, and with all networks
docs/speed.md.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import speed_page
import torch
from layers_alone import layers_alone
from memory_kept import memory_kept, memory_text
from torch import Tensor, nn
from torchvision_import import let_torchvision_import

import lrp_widgets as lw
from lrp_widgets.apps.explore.interpolation import CLOSE, NODES
from lrp_widgets.apps.session.memory import reuse_memory
from lrp_widgets.engine.analysis.alpha_interpolation import AlphaInterpolation, chebyshev
from lrp_widgets.engine.propagation import propagate
from lrp_widgets.engine.propagation.ledger import Sums
from lrp_widgets.engine.propagation.propagate import Abandoned

RESULTS = Path(__file__).with_name("speed.json")
NETWORKS = ("digits_cnn", "digits_cnn × 64", "resnet18", "resnet50", "vgg16")
SHORT = ("digits_cnn", "resnet18")
EPSILON, PLUS = lw.epsilon(epsilon=1e-6), lw.alpha_beta(alpha=1)
BOTH, GAMMA = lw.alpha_beta(alpha=2), lw.epsilon_gamma_box(low=0, high=1)
COMPOSITES = {"ε": (EPSILON, 0.75), "α1β0": (PLUS, 1.0), "α2β1": (BOTH, 1.35), "γ + z^B": (GAMMA, 1.15)}  # with aims
PATCHES = {True: 7, False: 4}  # along a side of what is flipped: of a small picture, and of a large one
ROUNDS, LEAST = 9, 3
PATIENCE = 150.0  # s for the rounds of a network; LEAST of them are made in any case
Work = Callable[[], Any]


@dataclass
class Timed:
    """A work, what it is a ratio to, the ratio that is aimed at, and how many times the thing is done in it."""

    work: Work
    aim: float | None = None
    of: str = "floor"
    times: int = 1
    once: bool = False  # so slow that one round must do
    away: bool = False  # done once more, untimed, before: what a slider moves away from


def network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with what it is asked about."""
    if name.startswith("digits_cnn"):
        rows = 64 if name.endswith("64") else 1
        return lw.demo.models.digits_cnn(), lw.demo.data.digits().inputs[:rows]
    from torchvision import models

    torch.manual_seed(0)
    return models.get_model(name, weights=None).eval(), torch.rand(1, 3, 224, 224)


def in_turn(works: list[Work]) -> Work:
    """One after the other, one a call."""
    turn = itertools.cycle(works)
    return lambda: next(turn)()


def works(name: str, model: nn.Module, x: Tensor) -> dict[str, Timed]:
    """Everything that is timed on one network."""
    explainer, small = lw.Explainer(model), name.startswith("digits")
    side = x.shape[-1] // PATCHES[small]

    def explain(composite: lw.Composite, target: int = 0) -> Work:
        return lambda: explainer.explain(x, target, lw.LRP(composite))

    def full(composite: lw.Composite) -> Work:
        def work() -> None:
            other = x.clone()
            other[0, 0, 0, 0] = torch.rand(())  # another input: everything but the weights is done anew
            explainer.explain(other, 0, lw.LRP(composite))

        return work

    def move(preset: Callable[..., lw.Composite], **values: tuple[Any, Any]) -> Work:
        ((key, (one, two)),) = values.items()
        return in_turn([explain(preset(**{key: one})), explain(preset(**{key: two}))])

    def ten() -> None:
        for target in range(10):
            explainer.explain(x, target, lw.LRP(PLUS))

    def without_ledger() -> None:
        kept = {"by_row": propagate.by_row, "sums_of": propagate.sums_of, "lines_of": propagate.lines_of}
        nothing = torch.zeros(len(x))
        propagate.by_row = lambda *_, **__: nothing
        propagate.sums_of = lambda *_: Sums(nothing, nothing)
        propagate.lines_of = lambda *_: ()
        try:
            alpha()
        finally:
            for name, function in kept.items():
                setattr(propagate, name, function)

    def flip() -> None:
        lw.pixel_flipping(model, x[:1], x[:1], 0, patch=side, batch=16)

    points = chebyshev(7, 1, 3)
    surface = AlphaInterpolation(points, [torch.randn_like(x) for _ in points])
    alpha = move(lw.alpha_beta, alpha=(2.0, 2.1))
    rest = (2.5, 0.2, 2.0) if small else (1.15, 0.02, 5.0 if name == "vgg16" else 3.6)
    recording, rule, ten_classes = 1.15 if name.endswith("64") else rest[0], *rest[1:]
    steps = len(lw.pixel_flipping(model, x[:1], x[:1], 0, patch=side).values)
    return {
        "record the tape": Timed(lambda: explainer.tape(torch.rand_like(x)), recording, "forward"),
        **{f"full, {title}": Timed(full(composite), aim) for title, (composite, aim) in COMPOSITES.items()},
        **{f"the layers alone, {title}": Timed(work) for title, work in layers_alone(model, x).items()},
        "α move": Timed(alpha, 0.70, away=True),
        "α move, ledger not kept": Timed(without_ledger, away=True),
        "α anywhere, interpolated": Timed(lambda: surface.at(1.83)),
        "ε move": Timed(move(lw.epsilon, epsilon=(1e-3, 1e-2)), 0.5, away=True),
        "γ move": Timed(move(lambda **g: lw.epsilon_gamma_box(low=0, high=1, **g), gamma=(0.2, 0.3)), 0.65, away=True),
        "input rule alone": Timed(move(lambda **i: lw.alpha_beta(alpha=2, **i), input=("zB", "w2")), rule, away=True),
        "other class, α1β0": Timed(in_turn([explain(PLUS, 0), explain(PLUS, 1)]), 0.40, away=True),
        "ten classes, α1β0": Timed(ten, ten_classes),
        "pixel flipping, a step": Timed(flip, 1.1, "forward of 16, a row", steps),
        **peers(model, x),
    }  # fmt: skip


def peers(model: nn.Module, x: Tensor) -> dict[str, Timed]:
    """The same by zennit, captum and Quantus, where they are installed and take the network."""
    timers: dict[str, Timed] = {}
    explainer = lw.Explainer(model)
    model = copy.deepcopy(model)  # they put other weights into it and take them out again: ours would begin anew

    def ours(composite: lw.Composite) -> Work:
        return lambda: explainer.explain(x + torch.rand(()), 0, lw.LRP(composite))

    try:
        from zennit import composites
        from zennit.attribution import Gradient
    except ImportError:
        pass
    else:
        classes = model(x[:1]).shape[1]

        def zennit(composite: Any) -> Work:
            def work() -> None:
                start = torch.zeros(len(x), classes)
                start[:, 0] = 1
                with Gradient(model, composite()) as attributor:
                    attributor(x.clone().requires_grad_(), start)

            return work

        def box() -> Any:
            return composites.EpsilonGammaBox(low=torch.zeros_like(x), high=torch.ones_like(x))

        for title, theirs, mine in (
            ("ε + z⁺ + flat", composites.EpsilonPlusFlat, lw.epsilon_plus_flat()),
            ("ε + α2β1 + flat", composites.EpsilonAlpha2Beta1Flat, lw.epsilon_alpha2_beta1_flat()),
            ("ε + γ + z^B", box, lw.epsilon_gamma_box(low=0, high=1)),
        ):
            timers[f"zennit, {title}"] = Timed(zennit(theirs))
            timers[f"  ours, {title}"] = Timed(ours(mine))
    try:
        from captum.attr import LRP

        LRP(model).attribute(x.clone().requires_grad_(), target=0)
    except ImportError:
        pass
    except Exception as error:
        print(f"  captum refuses: {type(error).__name__}: {str(error)[:90]}")
    else:
        timers["captum, ε"] = Timed(lambda: LRP(model).attribute(x.clone().requires_grad_(), target=0))
        timers["  ours, ε"] = Timed(ours(EPSILON))
    try:
        import quantus  # pyright: ignore[reportMissingImports]
    except ImportError:
        return timers
    patches = PATCHES[x.shape[-1] < 64]
    metric = quantus.PixelFlipping(
        features_in_step=(x.shape[-1] // patches) ** 2, disable_warnings=True, normalise=False
    )
    one = x[:1].numpy()
    timers["Quantus, pixel flipping, a step"] = Timed(
        lambda: metric(model, one, torch.zeros(1).long().numpy(), a_batch=one.sum(1, keepdims=True)),
        None, "forward of 16, a row", patches**2, once=True,
    )  # fmt: skip
    return timers


def seconds(work: Work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measured(name: str, rounds: int, patience: float) -> dict[str, Any]:
    """Medians of the ratios, and what they are made of."""
    model, x = network(name)
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    def floor() -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)

    def forward(rows: Tensor) -> Work:
        def work() -> None:
            with torch.no_grad():
                model(rows)

        return work

    sixteen = x[:1].repeat(16, *[1] * (x.ndim - 1))
    references: dict[str, tuple[Work, int]] = {
        "floor": (floor, 1),
        "forward": (forward(x), 1),
        "forward of 16, a row": (forward(sixteen), 16),
    }
    todo = works(name, model, x)
    for work in (
        *(work for work, _ in references.values()),
        *(timed.work for timed in todo.values() if not timed.once),
    ):
        work()
    ratios: dict[str, list[float]] = {title: [] for title in todo}
    times: dict[str, list[float]] = {title: [] for title in (*todo, *references)}
    start, round_ = time.perf_counter(), 0
    while round_ < LEAST or (round_ < rounds and time.perf_counter() - start < patience):
        round_ += 1
        for title, timed in todo.items():
            if timed.once and round_ > 1:
                continue
            if timed.away:
                timed.work()
            reference, parts = references[timed.of]
            base = seconds(reference) / parts
            times[timed.of].append(base)
            times[title].append(seconds(timed.work) / timed.times)
            ratios[title].append(times[title][-1] / base)
    middle = {title: statistics.median(values) for title, values in times.items()}
    ratio = {title: statistics.median(values) for title, values in ratios.items()}
    composites = {title: composite for title, (composite, _) in COMPOSITES.items()}
    return {
        "rounds": round_,
        "s": middle,
        "ratio": ratio,
        "aim": {title: timed.aim for title, timed in todo.items()},
        "of": {title: timed.of for title, timed in todo.items()},
        "ledger, share of an α move": 1 - ratio["α move, ledger not kept"] / ratio["α move"],
        "abandoned after, s": abandoned_after(model, x),
        **surface_error(model, x[:1]),
        "memory": memory_kept(model, x, composites, moves=name == "digits_cnn") if rounds > LEAST else None,
    }


def abandoned_after(model: nn.Module, x: Tensor) -> dict[str, float]:
    """From a newer request to the end of the explanation, at its worst, and how long the longest step takes."""
    explainer, times = lw.Explainer(model), list[float]()

    def note() -> bool:
        times.append(time.perf_counter())
        return False

    for alpha in (2.0, 2.1, 2.2):
        times.clear()
        explainer.explain(x, 0, lw.LRP(lw.alpha_beta(alpha=alpha)), note)
    longest = max(later - earlier for earlier, later in itertools.pairwise(times))
    worst = 0.0
    for step in range(0, len(times), max(1, len(times) // 12)):
        count, at = itertools.count(), list[float]()

        def newer(count: Any = count, at: list[float] = at, step: int = step) -> bool:
            at.append(time.perf_counter())
            return next(count) > step

        try:
            explainer.explain(x, 0, lw.LRP(lw.alpha_beta(alpha=2.3 + step / 1000)), newer)
        except Abandoned:
            worst = max(worst, time.perf_counter() - at[step])
    return {"worst": worst, "longest step": longest}


def surface_error(model: nn.Module, x: Tensor) -> dict[str, float]:
    """How far the exact maps that a dashboard fills in are off between them, of max|R|: seven, or more if they are."""
    explainer = lw.Explainer(model)

    def exact(alpha: float) -> Tensor:
        return explainer.explain(x, 0, lw.LRP(lw.alpha_beta(alpha=alpha))).relevance

    tried = [(alpha, exact(alpha)) for alpha in (1.05, 1.4, 1.9, 2.35, 2.75, 2.95)]
    for count in NODES:
        points = chebyshev(count, 1, 3)
        surface = AlphaInterpolation(points, [exact(point) for point in points])
        off = max(float((surface.at(alpha) - r).abs().max() / r.abs().max()) for alpha, r in tried)
        if off <= CLOSE:
            break
    return {"interpolated, off": off, "interpolated, maps": count}


def main(arguments: list[str]) -> None:
    """Measure, print, and write the numbers."""
    short = "short" in arguments
    names = [name for name in arguments if name != "short"] or list(SHORT if short else NETWORKS)
    library = let_torchvision_import()  # its definitions live as long as it does
    results: dict[str, Any] = {
        "torch": torch.__version__, "python": platform.python_version(), "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(), "memory is used again": reuse_memory(),
        "load before": os.getloadavg()[0], "networks": {},
    }  # fmt: skip
    for name in names:
        print(name)
        result = results["networks"][name] = measured(name, LEAST if short else ROUNDS, PATIENCE)
        print(f"  floor {1000 * result['s']['floor']:.1f} ms, {result['rounds']} rounds, load {os.getloadavg()[0]:.1f}")
        for title, ratio in result["ratio"].items():
            aim = f"   aim {result['aim'][title]:.2f}" if result["aim"][title] is not None else ""
            of = "" if result["of"][title] == "floor" else f"   × {result['of'][title]}"
            print(f"  {title:32} {ratio:7.2f}   {1000 * result['s'][title]:9.1f} ms{aim}{of}", flush=True)
        after = result["abandoned after, s"]
        worst, step = 1000 * after["worst"], 1000 * after["longest step"]
        print(f"  abandoned after {worst:.1f} ms at worst; the longest step takes {step:.1f} ms")
        print(f"  the ledger takes {100 * result['ledger, share of an α move']:.1f} % of an α move (aim 3)")
        off, maps = result["interpolated, off"], result["interpolated, maps"]
        print(f"  α interpolated between {maps} maps is off by {off:.1e} of max|R| (aim 1e-5)")
        print(f"  {memory_text(result['memory'])}", flush=True)
    del library
    RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if names == list(NETWORKS):
        speed_page.write(results)


if __name__ == "__main__":
    main(sys.argv[1:])
