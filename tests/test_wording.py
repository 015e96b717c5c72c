"""Messages are short and never empty: long values by their shape, silent exceptions by where they were raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.methods import METHODS
from lrp_widgets.wording import brief, in_words


def error_of(make: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:
        make()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        ("black", "'black'"),
        ((0.0, 1.0), "(0.0, 1.0)"),
        (torch.tensor(0.5), "tensor(0.5000)"),
        (torch.zeros(3, 8, 8), "Tensor of shape (3, 8, 8)"),
        (np.zeros((3, 9)), "ndarray of shape (3, 9)"),
        (tuple(range(500)), "tuple of length 500"),
        (list(range(500)), "list of length 500"),
        ("black" * 100, "str of length 500"),
    ],
)
def test_a_value_in_a_message(value: Any, text: str) -> None:
    assert brief(value) == text


PIXELS = torch.zeros(3, 8, 8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: lw.rules.ZBox(PIXELS, PIXELS + 1),
            "TypeError: ZBox.low must be a number or one number per channel, got Tensor of shape (3, 8, 8).",
        ),
        (
            lambda: lw.epsilon_gamma_box(low=-PIXELS.numpy()),
            "TypeError: epsilon_gamma_box.low must be a number or one number per channel, "
            "got ndarray of shape (3, 8, 8).",
        ),
        (
            lambda: lw.Samples(PIXELS[None], low=PIXELS),
            "ValueError: Samples.low must be one number or one per channel (3), got Tensor of shape (3, 8, 8).",
        ),
        (
            lambda: lw.rules.ZBox(tuple([1.0] * 192)),
            "ValueError: ZBox.low must be at most 0 (the box must hold 0), got tuple of length 192.",
        ),
        (
            lambda: lw.pixel_flipping(nn.Linear(4, 2), torch.ones(1, 4), np.ones(4), baseline=PIXELS),
            "TypeError: pixel_flipping.baseline must be a number or one number per channel, "
            "got Tensor of shape (3, 8, 8).",
        ),
        (
            lambda: lw.Occlusion(value=PIXELS),
            "ValueError: Occlusion.value must be 'zero', 'mean' or a finite number, got Tensor of shape (3, 8, 8).",
        ),
        (
            lambda: lw.alpha_beta(alpha=2, beta=1),
            "TypeError: alpha_beta takes alpha alone, because α − β must be 1: β = α − 1. "
            "It got beta=1 with alpha=2. Write alpha_beta(alpha=2).",
        ),
        (
            lambda: lw.rules.AlphaBeta(3, 1),
            "TypeError: AlphaBeta takes alpha alone, because α − β must be 1: β = α − 1. "
            "It got beta=1 with alpha=3. Write AlphaBeta(alpha=3).",
        ),
        (
            lambda: lw.epsilon_alpha2_beta1_flat(beta=0),
            "TypeError: epsilon_alpha2_beta1_flat takes alpha alone, because α − β must be 1: β = α − 1. "
            "It got beta=0. Write epsilon_alpha2_beta1_flat(alpha=2.0).",
        ),
        (
            lambda: lw.layered(beta=0.5, alpha=2),
            "TypeError: layered takes alpha alone, because α − β must be 1: β = α − 1. "
            "It got beta=0.5 with alpha=2. Write layered(alpha=2).",
        ),
    ],
)
def test_message(make: Callable[[], Any], said: str) -> None:
    assert error_of(make) == said


class Silent(nn.Module):
    """Raises without a word."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 0:
            raise AssertionError
        return self.layer(x)


def silent_output(scores: Tensor) -> Tensor:
    raise KeyError


@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient(), lw.Occlusion()], ids=lambda method: method.title)
def test_an_exception_without_a_text(method: Any) -> None:
    where = "it gave no reason at 'raise AssertionError' in forward()"
    said = error_of(lambda: lw.Explainer(Silent().eval()).explain(torch.rand(1, 3), 0, method))
    assert said == f"RecordingError: Silent raised AssertionError on an input of shape (1, 3): {where}"
    said = error_of(lambda: lw.Explainer(nn.Linear(3, 2).eval(), silent_output).explain(torch.rand(1, 3), 0, method))
    assert said == (
        "TypeError: output raised KeyError on a Tensor: it gave no reason at 'raise KeyError' in silent_output(). "
        "It must make a tensor of scores out of what the model returns."
    )


def test_an_exception_that_was_never_raised_gave_no_reason() -> None:
    assert in_words(ValueError()) == in_words(ValueError("  ")) == "it gave no reason"
    assert in_words(ValueError("out of ink")) == "out of ink"


def headed(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers).eval()


class Pooled(nn.Module):
    """The mean over space, counted from the last axis: it runs without a batch dimension too."""

    def __init__(self, conv: nn.Module, space: int) -> None:
        super().__init__()
        self.conv, self.head, self.space = conv, nn.Linear(4, 3), space
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x - 0.5).mean(tuple(range(-self.space, 0))))


class Recurrent(nn.Module):
    """The answer at the last moment: it runs without a batch dimension too."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(5, 3)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])[..., -1, :]


UNBATCHED = {
    "a picture that runs": (Pooled(nn.Conv2d(3, 4, 3), 2), torch.rand(3, 8, 8), "(n, channels, height, width)"),
    "a grey picture": (Pooled(nn.Conv2d(1, 4, 3), 2), torch.rand(1, 8, 8), "(n, channels, height, width)"),
    "a picture that does not": (
        headed(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3)),
        torch.rand(3, 8, 8),
        "(n, channels, height, width)",
    ),
    "maps": (headed(nn.Conv2d(3, 4, 3)), torch.rand(3, 8, 8), "(n, channels, height, width)"),
    "transposed": (headed(nn.ConvTranspose2d(3, 4, 3)), torch.rand(3, 8, 8), "(n, channels, height, width)"),
    "a signal": (Pooled(nn.Conv1d(2, 4, 3), 1), torch.rand(2, 9), "(n, channels, samples)"),
    "a volume": (Pooled(nn.Conv3d(2, 4, 3), 3), torch.rand(2, 5, 6, 7), "(n, channels, depth, height, width)"),
    "features": (headed(nn.Linear(5, 3)), torch.rand(5), "(n, features)"),
    "a sequence": (Recurrent(nn.LSTM(4, 5, batch_first=True)), torch.rand(7, 4), "(n, time, features)"),
    "a sequence of gated units": (Recurrent(nn.GRU(4, 5)), torch.rand(7, 4), "(n, time, features)"),
    "a simple recurrence": (Recurrent(nn.RNN(4, 5)), torch.rand(7, 4), "(n, time, features)"),
}


@pytest.mark.parametrize("method", [kind() for kind in METHODS], ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("kind", UNBATCHED)
def test_an_input_without_a_batch_dimension(kind: str, method: Any) -> None:
    model, x, layout = UNBATCHED[kind]
    if x.ndim < 3 and isinstance(method, lw.GradCAM):
        return  # it asks for maps first
    said = error_of(lambda: lw.Explainer(model).explain(x, 0, method))
    assert said == (
        f"RecordingError: The input must have a batch dimension, {layout}, got shape {tuple(x.shape)}. "
        "Take x[None] for a batch of one."
    )


class Beside(nn.Module):
    """A picture and a number beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.pooled = Pooled(nn.Conv2d(3, 4, 3), 2)

    def forward(self, picture: Tensor, number: Tensor) -> Tensor:
        return self.pooled(picture) * number


@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient(), lw.Occlusion()], ids=lambda method: method.title)
def test_one_of_several_tensors_without_a_batch_dimension(method: Any) -> None:
    x = {"picture": torch.rand(3, 8, 8), "number": torch.rand(1)}
    said = error_of(lambda: lw.Explainer(Beside().eval()).explain(x, 0, method))
    assert said == (
        "RecordingError: The input must have a batch dimension, (n, channels, height, width), got shape (3, 8, 8). "
        "Take x[None] for a batch of one."
    )


class EachAlone(nn.Module):
    """Cuts the batch up itself, and gives a layer one picture without a batch dimension: right as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.conv(each).sum((1, 2)) for each in x])


class Spectrogram(nn.Module):
    """Rows of (frequencies, time) become pictures of one channel: three axes that are a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, None]).sum((2, 3))


class RowsAlone(nn.Module):
    """Each row of (frequencies, time) alone, with a dimension for its one channel: three axes again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.conv(each[None]).sum((1, 2)) for each in x])


class SequencesAlone(nn.Module):
    """Each row a sequence of single numbers, given to a recurrent layer without a batch dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(1, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.layer(each[:, None])[0][-1] for each in x])


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (EachAlone(), (2, 3, 5, 5)),
        (EachAlone(), (1, 3, 5, 5)),
        (Spectrogram(), (2, 6, 7)),
        (Spectrogram(), (1, 6, 7)),
        (RowsAlone(), (2, 6, 7)),
        (RowsAlone(), (1, 6, 7)),
        (SequencesAlone(), (2, 6)),
        (SequencesAlone(), (1, 6)),
    ],
    ids=lambda of: type(of).__name__ if isinstance(of, nn.Module) else str(of),
)
def test_what_a_model_makes_of_a_batch_is_its_own_business(model: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    explanation = lw.Explainer(model.eval()).explain(x, 1, lw.LRP(lw.epsilon(epsilon=0.0)))
    assert explanation.relevance.shape == x.shape and explanation.scores.shape == (len(x), 4)


@pytest.mark.parametrize("gamma", [1.5, 10.0, 1000.0])
def test_gamma_above_one(gamma: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 2, bias=False)).double().eval()
    x = torch.rand(3, 6).double()
    explainer = lw.Explainer(model)
    explanation = explainer.explain(x, 0, lw.LRP(lw.Composite([lw.Entry(lw.rules.Gamma(gamma))])))
    torch.testing.assert_close(explanation.total, explanation.explained, rtol=1e-9, atol=1e-12)
    assert all(layer.closes for layer in explanation.layers)
    # By hand, from the paper: after a ReLU, w + γ w⁺ for neurons above zero.
    w, v = model[0].weight, model[2].weight[0]
    hidden = (x @ w.T).relu()
    score = hidden @ v
    favoured = torch.where((score > 0)[:, None], v.clamp(min=0), v.clamp(max=0))
    share = hidden * (v + gamma * favoured)
    hidden_relevance = share / share.sum(1, keepdim=True) * score[:, None]
    parts = x[:, None, :] * (w + gamma * w.clamp(min=0))
    expected = (parts / parts.sum(2, keepdim=True) * hidden_relevance[..., None]).sum(1)
    torch.testing.assert_close(explanation.relevance, expected, rtol=1e-8, atol=1e-10)
