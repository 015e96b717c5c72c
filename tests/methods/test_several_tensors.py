"""The same methods on several tensors at once, tokens among them; and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.methods.reading import VOCABULARY, Reader, ids_of


def plain(model: Reader, ids: Tensor) -> Tensor:
    return model.words(ids)


class Pair(nn.Module):
    """Two tensors; linear, so that every method but the gradient itself gives x · w."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Linear(12, 2, bias=False), nn.Linear(5, 2, bias=False)
        self.double().eval()

    def forward(self, picture: Tensor, numbers: Tensor) -> Tensor:
        return self.one(picture.flatten(1)) + self.other(numbers)


def pair(rows: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(rows, 1, 3, 4).double(), torch.rand(rows, 5).double()


@pytest.mark.parametrize("form", ["tuple", "dict"])
@pytest.mark.parametrize(
    "method",
    [
        lw.SimpleTaylor(),
        lw.IntegratedGradients(),
        lw.Occlusion(patch=1, stride=1),
        lw.Smoothed(lw.SimpleTaylor(), noise=0.0),
    ],
    ids=lambda method: method.title,
)
def test_several_tensors(method: Any, form: str) -> None:
    model = Pair()
    picture, numbers = pair()
    x: Any = (picture, numbers) if form == "tuple" else {"picture": picture, "numbers": numbers}
    explanation = lw.Explainer(model).explain(x, [0, 1, 0], method)
    assert isinstance(explanation.relevance, type(x))
    parts = explanation.relevance if form == "tuple" else tuple(explanation.relevance[name] for name in x)
    weights = model.one.weight[[0, 1, 0]].detach().reshape(3, 1, 3, 4), model.other.weight[[0, 1, 0]].detach()
    for part, given, weight in zip(parts, (picture, numbers), weights, strict=True):
        torch.testing.assert_close(part, given * weight)
    torch.testing.assert_close(explanation.total, explanation.explained)


def test_flipping_of_several_tensors() -> None:
    """The regions of all of them are ranked together."""
    model, x = Pair(), pair(1)
    relevance = lw.Explainer(model).explain(x, 1, lw.SimpleTaylor()).relevance
    curve = lw.pixel_flipping(model, x, relevance, 1, patch=1)
    shares = torch.cat([part.flatten() for part in relevance]).sort(descending=True).values
    assert -np.diff(curve.values) == pytest.approx(shares.numpy())
    named = {"picture": x[0], "numbers": x[1]}
    by_name = {"picture": relevance[0], "numbers": relevance[1]}
    assert lw.pixel_flipping(model, named, by_name, 1, patch=1).values.tolist() == curve.values.tolist()
    band = lw.evaluation.random_flipping(model, x, 1, patch=2, seeds=2)
    assert len(band.values) == 4 + 3 + 1


def test_tokens_beside_a_mask_and_numbers() -> None:
    """A mask of whole numbers has no relevance and is not flipped; what is floating point is explained too."""
    model, ids = Reader(plain), ids_of()
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    x = {"ids": ids, "scale": torch.full((2, 4), 0.5).double(), "mask": mask}
    explainer = lw.Explainer(model)
    for method in (lw.Gradient(), lw.IntegratedGradients(), lw.SmoothGrad(3), lw.Occlusion(patch=1, token=0)):
        explanation = explainer.explain(x, 1, method)
        assert not bool(explanation.relevance["mask"].any())
        assert bool((explanation.relevance["ids"][0, :3] != 0).all()) and not explanation.relevance["ids"][0, 3]
        assert bool((explanation.relevance["scale"][1] != 0).all())
    integrated = explainer.explain(x, 1, lw.IntegratedGradients())
    assert integrated.convergence is not None and float(integrated.convergence.abs().max()) < 1e-6
    one = {name: part[:1] for name, part in x.items()}
    relevance = {name: part[:1] for name, part in explanation.relevance.items()}
    curve = lw.pixel_flipping(model, one, relevance, 1, patch=1, token=0)
    assert len(curve.values) == 4 + 4 + 1
    assert curve.removal == "set to the token 0, set to 0"
    flipped = {"ids": torch.zeros_like(ids[:1]), "scale": torch.zeros(1, 4).double(), "mask": mask[:1]}
    assert curve.values[-1] == pytest.approx(float(model(**flipped)[0, 1].detach()))


def test_a_tensor_without_a_batch_dimension_is_shared() -> None:
    class OnGraph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.out = nn.Linear(3, 2).double()

        def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
            return self.out(edges @ nodes).tanh().mean(1)

    torch.manual_seed(0)
    x = torch.rand(2, 5, 3).double(), torch.rand(5, 5).double()
    explainer = lw.Explainer(OnGraph().eval())
    integrated = explainer.explain(x, 1, lw.IntegratedGradients())
    assert integrated.convergence is not None and float(integrated.convergence.sum().abs()) < 1e-9
    smooth = explainer.explain(x, 1, lw.SmoothGrad(noise=0.0))
    for part, other in zip(smooth.relevance, explainer.explain(x, 1, lw.Gradient()).relevance, strict=True):
        torch.testing.assert_close(part, other)
    covered = explainer.explain(x, 1, lw.Occlusion(patch=1))
    assert bool(covered.relevance[0].any()) and not bool(covered.relevance[1].any())
    assert "all of tensor 1 stays as it is: it has no batch dimension" in covered.notes
    one = x[0][:1], x[1]
    curve = lw.pixel_flipping(explainer.model, one, explainer.explain(one, 1, lw.Gradient()).relevance, 1, patch=2)
    assert len(curve.values) == 3  # the edges stay


def error_of(make: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:
        make()
    return f"{type(caught.value).__name__}: {caught.value}"


def test_refusals() -> None:
    model, ids = Reader(plain), ids_of(1)
    explainer, pictures = lw.Explainer(model), pair(1)
    relevance = explainer.explain(ids, 0, lw.Gradient()).relevance
    last = VOCABULARY + 4
    for make, said in (
        (
            lambda: explainer.explain(ids, 0, lw.Occlusion(value="mean")),
            "ValueError: Occlusion covers a token by another one, got value='mean'. Say which one, for instance that "
            "of padding: token=0.",
        ),
        (
            lambda: explainer.explain(ids, 0, lw.Occlusion(value=0.5)),
            "ValueError: Occlusion covers a token by another one, got value=0.5. Say which one, for instance that "
            "of padding: token=0.",
        ),
        (
            lambda: explainer.explain(ids, 0, lw.Occlusion(token=99)),
            f"ValueError: Occlusion.token must lie in [0, {last}], the tokens that the model knows, got 99.",
        ),
        (
            lambda: lw.IntegratedGradients(token=-1),
            "ValueError: IntegratedGradients.token must be the number of a token, such as that of padding, got -1.",
        ),
        (
            lambda: lw.pixel_flipping(model, ids, relevance, 0, token=99),
            f"ValueError: token must lie in [0, {last}], the tokens that the model knows, got 99.",
        ),
        (
            lambda: lw.pixel_flipping(model, ids, relevance, 0, removal="mean"),
            "ValueError: A removed token becomes another token, got removal='mean'. Say which one, for instance that "
            "of padding: token=0.",
        ),
        (
            lambda: lw.pixel_flipping(model, ids, relevance, 0, baseline=0.5),
            "ValueError: A removed token becomes another token, got baseline=0.5. Say which one, for instance that "
            "of padding: token=0.",
        ),
        (
            lambda: lw.pixel_flipping(Pair(), pictures, pictures[0], 0),
            "TypeError: The heatmap must have the form of the input, with one map in place of each of its 2 tensors, "
            "got Tensor. Take the explanation's relevance as it is.",
        ),
        (
            lambda: lw.pixel_flipping(Pair(), pictures, pictures, 0, regions=np.zeros((3, 4), int)),
            "ValueError: regions is that of one tensor, and the input has several. Leave it out.",
        ),
        (
            lambda: lw.pixel_flipping(Pair(), pair(2), pair(2), 0),
            "ValueError: Pixel flipping takes one input with its batch dimension, got shape (2, 1, 3, 4), (2, 5). "
            "Take one with x[i : i + 1].",
        ),
        (
            lambda: lw.continuity(model, ids),
            "TypeError: continuity is defined for one floating-point tensor, got tokens (torch.int64). Measure the "
            "explanation of it with lw.pixel_flipping(…).",
        ),
        (
            lambda: lw.axioms(Pair(), pictures),
            "TypeError: axioms is defined for one floating-point tensor, got several tensors in a tuple. Measure the "
            "explanation of it with lw.pixel_flipping(…).",
        ),
        (
            lambda: explainer.explain(ids, 0, lw.Smoothed(lw.LRP())),
            "TypeError: The input of Smoothed must be one floating-point tensor, which it alters, got whole numbers "
            "(torch.int64). Explain it with lw.LRP(…), lw.Gradient() or lw.GuidedBackprop().",
        ),
    ):
        assert error_of(make) == said
