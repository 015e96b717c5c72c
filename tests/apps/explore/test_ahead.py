"""Ahead of the hand: known positions ask no engine, what is guessed is close, and nothing outlives its input."""

from __future__ import annotations

import copy
import dataclasses
import gc
import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore import ahead as ahead_module
from lrp_widgets.apps.explore import cache, interpolation, preview
from lrp_widgets.apps.explore.ahead import Ahead
from lrp_widgets.apps.explore.preview import Preview
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.engine.analysis.alpha_interpolation import AlphaInterpolation, chebyshev
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.params import params_of

PATIENCE = 60.0
BOTH = lw.LRP(lw.alpha_beta(alpha=2.0))


def never() -> bool:
    return False


@pytest.fixture
def explainer() -> lw.Explainer:
    return lw.Explainer(lw.demo.models.digits_cnn())


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return lw.demo.data.digits().inputs[4:5]


@pytest.fixture
def filled(explainer, x) -> Ahead:
    ahead = Ahead(explainer)
    assert ahead.lookup(x, BOTH, None) is None
    ahead.explain(x, BOTH, None, None, never, False)
    ahead.prefetch(x, BOTH, None, never)
    return ahead


def at(alpha: float) -> lw.LRP:
    return lw.LRP(lw.alpha_beta(alpha=alpha))


def counted(explainer: lw.Explainer) -> list[lw.LRP]:
    """Every method that the engine is asked for from now on."""
    asked: list[lw.LRP] = []
    engine = explainer.explain

    def explain(x, target=None, method=None, *rest, **options):
        asked.append(method)
        return engine(x, target, method, *rest, **options)

    explainer.explain = explain  # type: ignore[method-assign]
    return asked


def test_the_neighbours_the_points_of_alpha_and_the_classes_are_filled_in(filled, explainer, x):
    asked = counted(explainer)
    for alpha in (1.95, 2.05, *chebyshev(7, 1, 3)):
        assert filled.lookup(x, at(alpha), None) is not None, alpha
    top = int(explainer.scores(x).argmax())
    assert sum(filled.lookup(x, BOTH, which) is not None for which in range(10)) == 9
    assert torch.equal(filled.lookup(x, BOTH, top).relevance, filled.lookup(x, BOTH, None).relevance)
    assert filled.lookup(x, lw.LRP(lw.alpha_beta(alpha=2.0, input="w2")), None) is not None
    assert asked == []


def test_what_is_known_is_what_the_engine_answers_to_the_last_bit(filled, x):
    for method, target in ((at(1.95), None), (at(chebyshev(7, 1, 3)[1]), None), (BOTH, 7)):
        cached = filled.lookup(x, method, target)
        with cores_for(filled.explainer.model, x):  # another number of cores may round differently
            fresh = lw.Explainer(filled.explainer.model).explain(x, target, method)
        assert torch.equal(cached.relevance, fresh.relevance)
        assert (cached.method, cached.target, cached.recomputed) == (method, fresh.target, 0)
        assert torch.equal(cached.layer("features.3"), fresh.layer("features.3"))


def test_every_position_of_alpha_is_guessed_closely(filled, x, measured):
    for alpha in np.arange(1, 3.01, 0.05).round(2):
        interpolated = filled.preview(x, at(float(alpha)), None)
        exact = filled.explainer.explain(x, None, at(float(alpha)), aside=True).heatmap()
        off = float(np.abs(interpolated.picture - exact).max() / np.abs(exact).max())
        measured("guess in α against the engine, of max|R|", off)
        assert off <= 1e-5
    assert filled.preview(x, at(4.0), None) is None  # beyond the slider
    assert filled.preview(x, lw.LRP(lw.epsilon()), None) is None
    assert filled.preview(x, lw.Gradient(), None) is None


def test_a_polynomial_of_higher_degree_gets_more_points():
    torch.manual_seed(0)
    layers = [part for _ in range(7) for part in (nn.Linear(24, 24), nn.ReLU())]
    explainer, x = lw.Explainer(nn.Sequential(*layers, nn.Linear(24, 3)).eval()), torch.rand(1, 24)
    ahead = Ahead(explainer)
    ahead.lookup(x, BOTH, 0)
    ahead.explain(x, BOTH, 0, None, never, False)
    asked = counted(explainer)
    ahead.prefetch(x, BOTH, 0, never)
    assert set(chebyshev(13, 1, 3)) <= {method.composite.alpha for method in asked if isinstance(method, lw.LRP)}
    exact = explainer.explain(x, 0, at(2.2)).heatmap()
    off = np.abs(ahead.preview(x, at(2.2), 0).picture - exact).max() / np.abs(exact).max()
    few = AlphaInterpolation(
        chebyshev(7, 1, 3), [explainer.explain(x, 0, at(point)).relevance for point in chebyshev(7, 1, 3)]
    )
    assert off <= 1e-5 < np.abs(few.at(2.2).numpy() - exact).max() / np.abs(exact).max()


def test_a_surface_that_is_off_is_not_used(explainer, x, monkeypatch):
    monkeypatch.setattr(interpolation, "CLOSE", 0.0)
    ahead = Ahead(explainer)
    ahead.lookup(x, BOTH, None)
    ahead.explain(x, BOTH, None, None, never, False)
    ahead.prefetch(x, BOTH, None, never)
    assert ahead.preview(x, at(2.2), None) is None


def test_filling_in_leaves_the_next_move_a_small_one(filled, explainer, x):
    explanation = explainer.explain(x, None, lw.LRP(lw.alpha_beta(alpha=2.0, input="zB")))
    assert explanation.recomputed == 1


def test_filling_in_stops_at_once(explainer, x):
    ahead = Ahead(explainer)
    ahead.lookup(x, BOTH, None)
    ahead.explain(x, BOTH, None, None, never, False)
    asked, left = counted(explainer), [30]

    def soon() -> bool:
        left[0] -= 1
        return left[0] < 0

    ahead.prefetch(x, BOTH, None, soon)
    assert 1 <= len(asked) <= 4  # some ten steps each


@pytest.mark.parametrize("change", ["input", "weight"])
def test_nothing_outlives_a_change(filled, x, change):
    if change == "input":
        other = lw.demo.data.digits().inputs[5:6]
        filled.explainer.explain(other, None, BOTH)
        assert filled.lookup(other, BOTH, None) is None
    else:
        with torch.no_grad():
            filled.explainer.model.features[0].weight.mul_(1.5)
        assert filled.lookup(x, BOTH, None) is None
    assert filled.preview(x, at(2.2), None) is None


def test_memory_is_bounded(filled, x, monkeypatch):
    layers = len(filled.explainer.explain(x, None, BOTH).layers)
    monkeypatch.setattr(cache, "BYTES", 5 * (28 * 28 * 4 + layers * cache.A_LAYER))
    for alpha in np.arange(3, 4, 0.1).round(1):
        filled.explain(x, at(float(alpha)), None, None, never, False)
    assert len(filled.cache) == 5
    assert filled.lookup(x, at(3.9), None) is not None
    assert filled.lookup(x, at(3.1), None) is None


def test_an_entry_counts_as_what_it_takes(filled, x):
    """Of a small map most of the memory is the ledger: counted as the map alone, 64 MiB would have been a gigabyte."""
    _, explanation = filled.cache._entries.popitem()
    gc.collect()
    tracemalloc.start()
    copies = [copy.deepcopy(explanation.replace(_at_layer=None, _channels_at=None).layers) for _ in range(20)]
    python = tracemalloc.get_traced_memory()[0] / len(copies)
    tracemalloc.stop()
    assert python <= cache._size(explanation) <= 20 * python


def test_no_more_entries_are_kept_than_sliders_have_positions(filled, x, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 6)
    before = {id(explanation) for explanation in filled.cache._entries.values()}
    for alpha in np.arange(1, 4, 0.1).round(1):
        filled.explain(x, at(float(alpha)), None, None, never, False)
    assert len(filled.cache) == 6
    gc.collect()
    left = [thing for thing in gc.get_objects() if type(thing) is Explanation and id(thing) not in before]
    assert len(left) <= 7  # those, and the one that was made last


def test_no_more_polynomials_are_kept_than_a_few(x, monkeypatch):
    monkeypatch.setattr(interpolation, "MOST", 3)
    ahead = Ahead(lw.Explainer(lw.demo.models.digits_cnn()))
    for epsilon in np.arange(0.1, 0.9, 0.1).round(1):
        method = lw.LRP(lw.epsilon_alpha2_beta1(epsilon=float(epsilon)))
        ahead.lookup(x, method, 3)
        ahead.explain(x, method, 3, None, never, False)
        ahead._alpha_previews.add(method, 3)
    assert len(ahead._alpha_previews._maps) == 3


def test_a_long_explanation_shows_coarse_pictures_that_sharpen(monkeypatch):
    torch.manual_seed(0)
    from torch import nn

    sizes = (3, 8, 8, 8)
    blocks = [
        part for i, o in pairwise(sizes)
        for part in (nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    ]  # fmt: skip
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(8 * 16, 4)).eval()
    monkeypatch.setattr(ahead_module, "LONG", 0.0)
    monkeypatch.setattr(preview, "FIRST", 0.0)
    monkeypatch.setattr(preview, "NEXT", 0.0)
    explainer, x, shown = lw.Explainer(model), torch.rand(1, 3, 32, 32), list[Preview]()
    ahead = Ahead(explainer)
    ahead.explain(x, lw.LRP(), 0, shown.append, never, False)
    assert shown == []  # how long it takes is not known yet
    ahead.explain(x, lw.LRP(lw.epsilon()), 0, shown.append, never, False)
    assert [each.picture.shape for each in shown] == [(4, 4), (8, 8), (16, 16)]
    assert shown[0].caption == "coarse: 4 × 4 of 32 × 32, sharpening"


def test_a_long_explanation_is_abandoned_only_where_something_stands(explainer, x):
    ahead = Ahead(explainer)
    ahead.explain(x, BOTH, None, None, lambda: True, False)  # nothing stands: it goes on
    with pytest.raises(Abandoned):
        ahead.explain(x, at(1.5), None, None, lambda: True, True)


def test_the_dashboard_paints_known_positions_without_the_engine(x):
    dashboard = lw.explore(lw.demo.models.digits_cnn(), lw.demo.data.digits())
    try:
        assert dashboard.settled(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        alpha = next(p for p in params_of(dashboard.settings.method.composite) if p.name == "alpha")
        (near,) = alpha.beside(dashboard.settings.method.composite.alpha)[:1]
        method = dataclasses.replace(
            dashboard.settings.method, composite=dataclasses.replace(dashboard.settings.method.composite, alpha=near)
        )
        seen = dashboard.samples.inputs[:1]
        while dashboard._ahead.lookup(seen, method, None) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        asked = counted(dashboard.explainer)
        dashboard.settings = dataclasses.replace(dashboard.settings, method=method)
        assert dashboard.settled(PATIENCE)
        assert method not in asked
        assert dashboard.explanation.method == method and "0 of" in dashboard.status.text
        with cores_for(dashboard.explainer.model, seen):
            fresh = lw.Explainer(dashboard.explainer.model).explain(seen, None, method)
        np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh.heatmap())
    finally:
        dashboard.close()


def test_where_a_request_waits_already_the_engine_is_not_asked(explainer, x):
    ahead = Ahead(explainer)
    ahead.lookup(x, BOTH, None)
    ahead.explain(x, BOTH, None, None, never, False)
    asked = counted(explainer)
    ahead.prefetch(x, BOTH, None, lambda: True)
    assert asked == []
