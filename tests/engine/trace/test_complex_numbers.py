"""Complex numbers inside of a model with real ends: relevance passes them as pairs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.trace.tape import RecordingError

W = torch.randn(4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
X = torch.rand(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1


class Model(nn.Module):
    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(x)


def rotary(x: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.reshape(2, 3, 2).contiguous())
    turned = pairs * torch.polar(torch.ones(3, dtype=x.dtype), torch.arange(3.0, dtype=x.dtype))
    return torch.view_as_real(turned).flatten(1)


def in_place(x: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(x)
    spectrum *= W
    return torch.fft.irfft(spectrum, n=6)


def into_a_buffer(x: Tensor) -> Tensor:
    """As Fourier neural operators do: the low frequencies are written into zeros."""
    spectrum = torch.fft.rfft(x)
    kept = torch.zeros_like(spectrum)
    kept[:, 1:3] = spectrum[:, 1:3] * W[1:3]
    return torch.fft.irfft(kept, n=6)


def cut_off(x: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(x)
    spectrum[:, 2:] = 0
    return torch.fft.irfft(spectrum, n=6)


def parts_in_place(x: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(x)
    spectrum.real[:, 0] = 0
    spectrum.imag.mul_(3)
    spectrum[:, [0, 2]] = spectrum[:, [2, 0]]
    return spectrum.abs()


def through_pairs(x: Tensor) -> Tensor:
    pairs = x.reshape(2, 3, 2).clone()
    numbers = torch.view_as_complex(pairs)
    numbers[:, 0] *= 2j
    return pairs.flatten(1)


# Homogeneous in x: LRP-0 is gradient × input.
HOMOGENEOUS: dict[str, Callable[[Tensor], Tensor]] = {
    "a rotary embedding": rotary,
    "a filter": lambda x: torch.fft.irfft(torch.fft.rfft(x) * W, n=6),
    "a filter in place": in_place,
    "a magnitude": lambda x: torch.fft.rfft(x).abs(),
    "a spectrogram": lambda x: (
        torch.stft(x, 4, 2, window=torch.hann_window(4, dtype=x.dtype), return_complex=True).abs().flatten(1)
    ),
    "real and imaginary part": lambda x: torch.cat([torch.fft.fft(x).real, torch.fft.fft(x).imag], 1),
    "a conjugate": lambda x: torch.view_as_real(torch.fft.fft(x).conj() * (1 + 2j)).flatten(1),
    "a product with a matrix": lambda x: (torch.fft.rfft(x) @ torch.outer(W, W.conj())).real,
    "a part": lambda x: torch.fft.rfft(x)[:, 1:3].abs(),
    "a sum": lambda x: (torch.fft.rfft(x) + 2 * torch.fft.rfft(x.flip(1))).abs(),
    "put together": lambda x: torch.complex(x[:, :3], x[:, 3:]).abs(),
    "written into a buffer": into_a_buffer,
    "cut off": cut_off,
    "parts in place": parts_in_place,
    "a write through pairs": through_pairs,
    "two dimensions": lambda x: torch.fft.ifft2(torch.fft.fft2(x.reshape(2, 2, 3)) * W[:3]).real.flatten(1),
}


@pytest.mark.parametrize("how", HOMOGENEOUS)
def test_what_is_homogeneous_is_gradient_times_input(how: str) -> None:
    model = Model(HOMOGENEOUS[how])
    explanation = lw.Explainer(model).explain(X, 1, lw.LRP(lw.epsilon(epsilon=0)))
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 1].sum(), x)
    torch.testing.assert_close(explanation.relevance, gradient * X)
    torch.testing.assert_close(explanation.total, explanation.explained)
    assert explanation.fallbacks == () and all(line.closes for line in explanation.layers)


def test_two_spectra_share_half_each() -> None:
    """A convolution by Fourier transforms, both sides from the input: degree two, f shared once."""
    model = Model(lambda x: torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(x.flip(1)), n=6))
    explanation = lw.Explainer(model).explain(X, 0, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.total, explanation.explained)


def test_a_phase_is_kept_by_name() -> None:
    explanation = lw.Explainer(Model(lambda x: torch.fft.rfft(x).angle())).explain(X, 1, lw.LRP(lw.epsilon()))
    assert all(line.closes for line in explanation.layers)
    assert set(explanation.absorbed) == {"complex::angle"}


def test_a_weight_that_is_complex() -> None:
    layer = nn.Linear(4, 2, dtype=torch.complex128)
    explanation = lw.Explainer(Model(lambda x: layer(torch.fft.rfft(x)).real)).explain(X, 0, lw.LRP(lw.epsilon()))
    kept = sum(explanation.absorbed.values(), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(explanation.total + kept, explanation.explained)
    assert set(explanation.absorbed) <= {"bias", "epsilon"} and explanation.fallbacks == ()


def test_complex_scores_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must return floating-point scores, one row per input, got torch.complex128"):
        lw.Explainer(Model(torch.fft.rfft)).explain(X, 0)


def test_a_write_through_a_conjugate_is_refused() -> None:
    def conjugated(x: Tensor) -> Tensor:
        numbers = torch.fft.rfft(x)
        numbers.conj()[:, 0] = 2j
        return numbers.abs()

    with pytest.raises(RecordingError, match="Write to a copy"):
        lw.Explainer(Model(conjugated)).explain(X, 0)


def test_what_divides_is_held_constant_as_among_real_numbers() -> None:
    def squashed(x: Tensor) -> Tensor:
        numbers = torch.fft.rfft(x)
        return (numbers / (numbers.abs() + 1)).real

    explanation = lw.Explainer(Model(squashed)).explain(X, 1, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.total, explanation.explained)
    size = (torch.fft.rfft(X).abs() + 1)[:, 1]
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((torch.fft.rfft(x).real[:, 1] / size).sum(), x)
    torch.testing.assert_close(explanation.relevance, gradient * X)
