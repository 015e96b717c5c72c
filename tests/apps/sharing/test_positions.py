from __future__ import annotations

from dataclasses import replace

import pytest

import lrp_widgets as lw
from lrp_widgets.apps.sharing.positions import grid_of
from lrp_widgets.methods import METHODS


def shape(grid) -> list[tuple[str, int]]:
    return [(axis.label, len(axis.values)) for axis in grid.axes]


def test_all_sliders_together():
    method = lw.LRP(lw.layered(alpha=1.37, max_pooling="proportional"))
    grid = grid_of(method, 1400)
    assert grid.joint and shape(grid) == [("α", 6), ("ε", 6), ("γ", 6), ("input rule", 6)]
    methods = list(grid)
    assert len(methods) == len(grid) == len(set(methods)) == 6**4
    assert method in methods and all(m.composite.max_pooling == "proportional" for m in methods)
    assert methods[1] == replace(method, composite=replace(methods[0].composite, input="zB"))  # the last one is fastest
    assert {m.composite.alpha for m in methods} == {1.0, 1.37, 1.8, 2.2, 2.6, 3.0}


def test_one_slider_at_a_time_where_there_is_little_room():
    method = lw.LRP(lw.layered(alpha=1.5))
    grid = grid_of(method, 22)
    assert not grid.joint and shape(grid) == [("α", 5), ("ε", 5), ("γ", 5), ("input rule", 6)]
    assert [m.composite.alpha for m in grid] == [1.0, 1.5, 2.0, 2.5, 3.0] + [1.5] * 16
    assert list(grid).count(method) == 4


@pytest.mark.parametrize("alpha", [1.0, 2.35, 3.0, 7.0])
def test_the_present_position_is_one_of_them(alpha):
    (axis, _) = grid_of(lw.LRP(lw.alpha_beta(alpha=alpha)), 126).axes
    assert axis.values[axis.at] == alpha and len(axis.values) == 21
    assert list(axis.values) == sorted(set(axis.values))


def test_a_logarithmic_slider():
    (axis, _) = grid_of(lw.LRP(lw.epsilon(epsilon=0.0)), 126, positions=11).axes
    assert axis.values == (0.0, *(10.0**n for n in range(-8, 2)))  # ε = 0 takes the place of the nearest one
    assert grid_of(lw.LRP(lw.epsilon(epsilon=0.02)), 126, positions=11).axes[0].values[7] == 0.02


def test_positions_in_words():
    method = lw.LRP(lw.alpha_beta(alpha=1.25))
    alpha, rule = grid_of(method, 126, positions=5).axes
    assert alpha.texts(method) == ["1 · β = 0.00", "1.25 · β = 0.25", "2 · β = 1.00", "2.5 · β = 1.50", "3 · β = 2.00"]
    assert rule.texts(method)[:2] == ["as the layers above", "z^B · pixels in a box"]


def test_a_rule_that_cannot_be_is_no_position():
    _, rule = grid_of(lw.LRP(lw.alpha_beta(low=0.5, high=1.0)), 126).axes
    assert "zB" not in rule.values and len(rule.values) == 5


def test_too_little_room():
    with pytest.raises(ValueError) as error:
        grid_of(lw.LRP(lw.layered()), 11)
    assert str(error.value) == "The maps of 12 positions must fit, there is room for 11. Allow more bytes."


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_positions(method):
    grid = grid_of(method(), 64)
    methods = list(grid)
    assert len(methods) == len(grid) <= 64 and method() in methods
