"""The same function in another notation: by hand, and not where it is not surely the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.evaluation.axioms.rewriting import NotSafe, copy_of, doubled, halved, same_method, shifted


def linear(*weights: float, bias: float | None = None) -> nn.Linear:
    layer = nn.Linear(len(weights), 1, bias is not None).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        if bias is not None:
            layer.bias.fill_(bias)
    return layer.eval()


def network(padding: int = 0) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 3, 3, padding=padding), nn.ReLU(), nn.Flatten(), nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, 3)
    model = nn.Sequential(*layers).eval()
    model(torch.rand(1, 2, 5, 5))
    return model.double()


X = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(0)).double()
ONES = torch.ones(1, 2).double()


def explained(model: nn.Module, x: Tensor, method: Any) -> list[list[float]]:
    return lw.Explainer(model).explain(x, 0, method).relevance.tolist()


def test_z_plus_of_two_halves_by_hand() -> None:
    """z = 2 − 1. As one: R = (1, 0). As two: z₁ = 2 gets 2, z₂ = −1 gets −1 and has nothing positive to hand it to."""
    model = nn.Sequential(linear(2.0, -1.0))
    rewriting = halved(lw.Explainer(model), ONES)
    assert rewriting.layers == {"0": ("0.first", "0.second")}
    assert explained(model, ONES, lw.LRP(lw.deep_taylor())) == [[1, 0]]
    assert explained(rewriting.model, ONES, lw.LRP(lw.deep_taylor())) == [[2, 0]]
    for notation in (model, rewriting.model):
        assert explained(notation, ONES, lw.LRP(lw.epsilon(0.0))) == [pytest.approx([2, -1])]
    assert type(model[0]) is nn.Linear  # the user's is the one it was


@pytest.mark.parametrize("rewrite", [halved, doubled])
def test_the_copy_answers_the_same_everywhere(rewrite: Any) -> None:
    model = network()
    rewriting = rewrite(lw.Explainer(model), X)
    assert set(rewriting.layers) == {"3", "5"}
    for _ in range(5):
        x = torch.randn(3, 2, 5, 5).double()
        assert torch.allclose(rewriting.model(x), model(x), atol=1e-12)


def test_only_plain_layers_are_rewritten() -> None:
    class Own(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    shared = nn.Linear(4, 4)
    model = nn.Sequential(Own(4, 4), shared, shared, nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(1, 1)).eval()
    model[5] = nn.Identity()
    model[3].register_forward_hook(lambda module, args, out: out + 1)
    assert set(halved(lw.Explainer(model), torch.rand(1, 4)).layers) == {"4"}


def test_rules_go_with_their_layers() -> None:
    """A split by depth would fall elsewhere: three layers become five."""
    model, explainer = network(), lw.Explainer(network())
    method = lw.LRP(lw.montavon2019(0.0, 1.0, split=(0.4, 0.7)))
    rewriting = halved(explainer, X)
    moved = same_method(method, explainer, X, rewriting)
    where = [entry.where for entry in moved.composite.entries]
    assert where == ["0", "3.first", "3.second", "5.first", "5.second"]
    kinds = [type(entry.rule).__name__ for entry in moved.composite.entries]
    assert kinds == ["ZBox", "Epsilon", "Epsilon", "Zero", "Zero"]
    assert moved.composite.max_pooling == method.composite.max_pooling
    lw.Explainer(rewriting.model).explain(X, 0, moved)
    assert same_method(lw.Gradient(), explainer, X, rewriting) == lw.Gradient()
    assert model is not explainer.model


def test_the_bias_takes_the_shift_by_hand() -> None:
    model = nn.Sequential(nn.Flatten(), linear(2.0, -1.0, bias=0.5), nn.ReLU())
    rewriting = shifted(lw.Explainer(model), ONES, 3.0)
    assert rewriting.model[1].bias.tolist() == [0.5 - 3 * (2 - 1)]
    assert model[1].bias.tolist() == [0.5]
    bare = nn.Sequential(linear(2.0, -1.0))
    assert shifted(lw.Explainer(bare), ONES, -1.0).model[0].bias.tolist() == [1]


@pytest.mark.parametrize("shift", [-1.0, 2.0])
def test_a_shifted_network_answers_the_same_everywhere(shift: float) -> None:
    model = network()
    rewriting = shifted(lw.Explainer(model), X, shift)
    for _ in range(5):
        x = torch.randn(3, 2, 5, 5).double()
        assert torch.allclose(rewriting.model(x + shift), model(x), atol=1e-12)


class Around(nn.Module):
    """The input goes past its first layer, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first = linear(2.0, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + x.square().sum(1, keepdim=True)


class Uncopied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Parameter(torch.ones(2)) * 2

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.made).sum(1, keepdim=True)


class Peeking(nn.Module):
    """Takes the weights out of its layer, which the rewritten one has not got."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.fc.weight.T


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: halved(lw.Explainer(nn.Sequential(nn.Flatten(), nn.ReLU())), X),
            "the model has no plain nn.Linear that could be written in another way",
        ),
        (
            lambda: halved(lw.Explainer(Peeking().eval()), torch.rand(1, 4)),
            "the rewritten model does not run (RecordingError)",
        ),
        (
            lambda: shifted(lw.Explainer(network(padding=1)), X, 1.0),
            "the first layer pads with zeros, and a shifted input has none at its border",
        ),
        (
            lambda: shifted(lw.Explainer(nn.Sequential(nn.ReLU(), linear(1.0, 2.0))), -ONES, 1.0),
            "no nn.Linear or convolution sees the input as it is",
        ),
        (
            lambda: shifted(lw.Explainer(Around().eval()), ONES, 1.0),
            "the rewritten model answers differently, by 6.0e+00",
        ),
    ],
    ids=["nothing to rewrite", "weights used elsewhere", "padding", "no first layer", "input used elsewhere"],
)
def test_where_it_is_not_safe(make: Any, said: str) -> None:
    with pytest.raises(NotSafe) as caught:
        make()
    assert str(caught.value) == said


def test_a_model_that_cannot_be_copied() -> None:
    with pytest.raises(NotSafe, match=r"^the model cannot be copied \(RuntimeError: Only Tensors created explicitly"):
        copy_of(Uncopied())
