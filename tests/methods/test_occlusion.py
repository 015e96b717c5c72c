"""Occlusion against covering one patch after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3)).double().eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 2, 6, 7).double()


def linear(*w: float) -> nn.Module:
    model = nn.Linear(len(w), 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([w]))
    return model


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lw.Occlusion(1, 1), [1, -4, 9, 16]),  # w x
        (lw.Occlusion(2, 2), [-3, -3, 25, 25]),  # two patches side by side
        (lw.Occlusion(2, 1), [-3, 1, 15, 25]),  # (−3 + 5) / 2, (5 + 25) / 2 between them
        (lw.Occlusion(3, 3), [6, 6, 6, 16]),  # the last patch has one pixel left
        (lw.Occlusion(1, 2), [1, 0, 9, 0]),  # every other one is never covered
        (lw.Occlusion(4, 9), [22, 22, 22, 22]),
        (lw.Occlusion(99, 1), [22, 22, 22, 22]),
        (lw.Occlusion(1, 1, "mean"), [-1.5, 1, 1.5, 6]),  # w (x − 2.5)
        (lw.Occlusion(1, 1, 3.0), [-2, 2, 0, 4]),  # w (x − 3)
        (lw.Occlusion(1, 1, 3), [-2, 2, 0, 4]),
    ],
    ids=str,
)
def test_by_hand(method: lw.Occlusion, expected: list[float]) -> None:
    """w = (1, −2, 3, 4) at x = (1, 2, 3, 4)."""
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).double()
    if method == lw.Occlusion(2, 1):
        expected = [-3, (-3 + 5) / 2, (5 + 25) / 2, 25]
    explanation = lw.Explainer(linear(1, -2, 3, 4)).explain(x, 0, method)
    assert explanation.relevance.tolist() == [pytest.approx(expected)]
    never = "pixels between the patches were never covered: Occlusion.stride"
    assert explanation.notes == ((never,) if method.stride > method.patch and method.patch < 4 else ())


@pytest.mark.parametrize("target", [1, [2, 0], lw.contrast(0, 2)], ids=str)
@pytest.mark.parametrize(("patch", "stride"), [(1, 1), (2, 2), (3, 2), (4, 3), (6, 1)])
@pytest.mark.parametrize("value", ["zero", "mean", 0.7])
def test_it_covers_one_patch_after_the_other(x: Tensor, target: Any, patch: int, stride: int, value: Any) -> None:
    model, explainer = network(), lw.Explainer(network())

    def f(picture: Tensor, row: int) -> float:
        with torch.no_grad():
            scores = model(picture[None])[0]
        if isinstance(target, int | list):
            return float(scores[target if isinstance(target, int) else target[row]])
        return float(scores[0] - scores[2])

    expected = torch.zeros_like(x)
    for row, picture in enumerate(x):
        lost: dict[tuple[int, int], list[float]] = {}
        for top in range(0, 6 - patch + stride, stride):
            for left in range(0, 7 - patch + stride, stride):
                covered = picture.clone()
                inside = [(r, c) for r in range(top, min(top + patch, 6)) for c in range(left, min(left + patch, 7))]
                for channel in range(2):
                    for r, c in inside:
                        filled = {"zero": 0.0, "mean": float(picture[channel].mean())}.get(value, value)
                        covered[channel, r, c] = filled
                for place in inside:
                    lost.setdefault(place, []).append(f(picture, row) - f(covered, row))
        for (r, c), drops in lost.items():
            expected[row, :, r, c] = sum(drops) / len(drops)
    got = explainer.explain(x, target, lw.Occlusion(patch, stride, value)).relevance
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_by_itself_it_takes_patches_that_fit_the_picture() -> None:
    class Counting(nn.Module):
        rows = 0

        def forward(self, x: Tensor) -> Tensor:
            self.rows += len(x)
            return x.flatten(1).sum(1, keepdim=True)

    for shape, patches in (((1, 28, 28), 13 * 13), ((3, 224, 224), 13 * 13), ((784,), 97), ((5,), 5), ((2, 30), 30)):
        model = Counting().eval()
        explanation = lw.Explainer(model).explain(torch.ones(1, *shape), 0, lw.Occlusion())
        assert model.rows - 1 == patches
        assert bool((explanation.relevance > 0).all()) and explanation.notes == ()


def test_sequences_and_volumes_have_patches_too() -> None:
    for shape in ((2, 6), (2, 4, 6, 5)):
        w = torch.randn(2, *shape[1:]).double()
        model = nn.Sequential(nn.Flatten(), linear(*w.flatten().tolist()))
        x = torch.randn(1, *shape).double()
        got = lw.Explainer(model).explain(x, 0, lw.Occlusion(1, 1)).relevance
        torch.testing.assert_close(got, (w * x).sum(1, keepdim=True).expand_as(x))


def test_a_model_that_leaves_torch_can_be_asked_as_well() -> None:
    class Away(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor(x.detach().numpy() * 2)

    got = lw.Explainer(Away().eval()).explain(torch.tensor([[1.0, 3.0]]), 1, lw.Occlusion(1, 1)).relevance
    assert got.tolist() == [[0, 6]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lw.Occlusion(-1), "Occlusion.patch must be at least 0, got -1."),
        (lambda: lw.Occlusion(2.0), "Occlusion.patch must be a whole number, got 2.0."),
        (lambda: lw.Occlusion(stride=-1, value=0.5), "Occlusion.stride must be at least 0, got -1."),
        (lambda: lw.Occlusion(value="grey"), "Occlusion.value must be 'zero', 'mean' or a finite number, got 'grey'."),
        (
            lambda: lw.Occlusion(value=float("nan")),
            "Occlusion.value must be 'zero', 'mean' or a finite number, got nan.",
        ),
        (lambda: lw.Occlusion(value=True), "Occlusion.value must be 'zero', 'mean' or a finite number, got True."),
    ],
)
def test_what_the_settings_may_be(make: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert str(caught.value) == said
