"""The places and weights of integrals are those of Gauss and Legendre."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.methods.quadrature import gauss_legendre


@pytest.mark.parametrize("count", [1, 2, 3, 8, 50, 63, 200])
def test_places_and_weights_are_numpys(count):
    places, weights = gauss_legendre(count)
    wanted_places, wanted_weights = np.polynomial.legendre.leggauss(count)
    np.testing.assert_allclose(places, wanted_places, rtol=0, atol=5e-15)
    np.testing.assert_allclose(weights, wanted_weights, rtol=1e-9)


@pytest.mark.parametrize("count", [1, 4, 20])
def test_a_polynomial_is_integrated_exactly(count):
    places, weights = gauss_legendre(count)
    for degree in range(2 * count):
        exact = (1 - (-1) ** (degree + 1)) / (degree + 1)
        assert np.dot(weights, places**degree) == pytest.approx(exact, abs=1e-14)
    assert np.dot(weights, places ** (2 * count)) != pytest.approx(2 / (2 * count + 1), abs=1e-14)


def test_as_many_as_are_taken_at_most():
    places, weights = gauss_legendre(1000)
    assert weights.sum() == pytest.approx(2, abs=1e-12)
    assert np.all(np.diff(places) > 0) and abs(places).max() < 1
    np.testing.assert_allclose(places, -places[::-1], rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        places[0] = 0
