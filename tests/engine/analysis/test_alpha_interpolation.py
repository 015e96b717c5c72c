"""R(α) from seven exact maps: within 1e-5 of the engine at every position, exact at its points."""

from __future__ import annotations

import math

import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.engine.analysis.alpha_interpolation import AlphaInterpolation, chebyshev


def test_the_points_lie_as_chebyshev_put_them():
    assert chebyshev(3, 1, 3) == pytest.approx((1, 2, 3))
    assert chebyshev(5, -1, 1) == pytest.approx((-1, -math.sqrt(0.5), 0, math.sqrt(0.5), 1))


def test_a_polynomial_is_found_again():
    points = chebyshev(5, 1, 3)

    def polynomial(a: float) -> torch.Tensor:
        return torch.tensor([[a**4 - 2 * a, 1.0], [a, -3 * a**3]], dtype=torch.float64)

    surface = AlphaInterpolation(points, [polynomial(a) for a in points])
    for alpha in (1.0, 1.37, 2.0, 2.9, 3.0):
        torch.testing.assert_close(surface.at(alpha), polynomial(alpha), rtol=1e-12, atol=1e-12)


def test_at_its_points_it_is_what_it_was_given():
    points = chebyshev(7, 1, 3)
    maps = [torch.randn(1, 4, 4) for _ in points]
    surface = AlphaInterpolation(points, maps)
    assert all(torch.equal(surface.at(point), known) for point, known in zip(points, maps, strict=True))


@pytest.mark.parametrize("preset", [lw.alpha_beta, lw.layered, lw.epsilon_alpha2_beta1_flat])
def test_seven_points_are_enough_for_a_network(preset, measured):
    x, explainer = lw.demo.data.digits().inputs[2:3], lw.Explainer(lw.demo.models.digits_cnn())

    def exact(alpha: float) -> torch.Tensor:
        return explainer.explain(x, None, lw.LRP(preset(alpha=alpha)), aside=True).relevance

    points = chebyshev(7, 1, 3)
    surface = AlphaInterpolation(points, [exact(alpha) for alpha in points])
    for alpha in (1.05, 1.6, 2.35, 2.95):
        off = float((surface.at(alpha) - exact(alpha)).abs().max() / exact(alpha).abs().max())
        measured("surface in α against the engine, of max|R|", off)
        assert off <= 1e-5


def test_it_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"^chebyshev\(count\) needs at least 2 points, got 1\.$"):
        chebyshev(1, 1, 3)
    with pytest.raises(ValueError, match=r"^AlphaInterpolation needs one map for each of the 3 points, got 1\.$"):
        AlphaInterpolation(chebyshev(3, 1, 3), [torch.zeros(1)])
    surface = AlphaInterpolation(chebyshev(3, 1, 3), [torch.zeros(1)] * 3)
    with pytest.raises(ValueError, match=r"^alpha must lie in \[1\.0, 3\.0\], where the surface is known, got 3\.5\.$"):
        surface.at(3.5)
