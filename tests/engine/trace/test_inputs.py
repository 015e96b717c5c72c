"""What a model takes: tokens, several tensors, dicts and tuples; and which of its outputs is explained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

PROPAGATING = (lw.LRP(lw.epsilon()), lw.LRP(lw.alpha_beta(alpha=2)), lw.LRP(lw.deep_taylor()))
METHODS = (*PROPAGATING, lw.Gradient(), lw.Sensitivity(), lw.SimpleTaylor())


class Sentences(nn.Module):
    """Tokens and what else there may be about them; several answers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.places = nn.Embedding(20, 8), nn.Embedding(10, 8)
        self.mix, self.out = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids: Tensor, scale: Tensor | None = None, mask: Tensor | None = None) -> dict[str, Tensor]:
        hidden = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        if scale is not None:
            hidden = torch.cat([hidden, scale], 1)
        hidden = torch.relu(self.mix(hidden))
        if mask is not None:
            hidden = hidden * mask[..., None]
        return {"scores": self.out(hidden.mean(1)), "hidden": hidden}


class Two(nn.Module):
    """Two pictures in, a tuple out; linear and without biases, so that LRP-0 is gradient × input."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Linear(6, 4, bias=False), nn.Linear(5, 4, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.one(a) + 2 * self.other(b), a


class Bagged(nn.Module):
    """Takes one dict, as it comes out of a data loader."""

    def __init__(self) -> None:
        super().__init__()
        self.two = Two()

    def forward(self, batch: dict[str, Any]) -> Tensor:
        return self.two(*batch["pictures"])[0] * batch["factor"]


@pytest.fixture
def sentences() -> Sentences:
    return Sentences().eval().double()


@pytest.fixture
def ids() -> Tensor:
    torch.manual_seed(2)
    return torch.randint(0, 20, (3, 5))


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.rand(3, 6).double(), torch.randn(3, 5).double()


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_each_token_has_one_relevance(sentences: Sentences, ids: Tensor, method: Any) -> None:
    explanation = lw.Explainer(sentences, "scores").explain(ids, target=1, method=method)
    assert explanation.relevance.shape == ids.shape and explanation.relevance.dtype == torch.float64
    assert bool((explanation.relevance != 0).all())
    assert explanation.heatmap(1).shape == (1, 5)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_batch_of_tokens_is_its_rows(sentences: Sentences, ids: Tensor, method: Any) -> None:
    explainer = lw.Explainer(sentences, "scores")
    whole = explainer.explain(ids, target=1, method=method).relevance
    rows = [explainer.explain(row[None], target=1, method=method).relevance for row in ids]
    assert whole == pytest.approx(torch.cat(rows), rel=1e-9)


@pytest.mark.parametrize("method", PROPAGATING, ids=str)
def test_tokens_conserve(sentences: Sentences, ids: Tensor, method: Any) -> None:
    explanation = lw.Explainer(sentences, "scores").explain(ids, method=method)
    assert all(layer.closes for layer in explanation.layers) and not explanation.fallbacks
    kept = sum(explanation.absorbed.values())
    assert explanation.total + kept == pytest.approx(explanation.explained, rel=1e-9)


def test_the_relevance_of_a_token_is_that_of_its_embedding(sentences: Sentences, ids: Tensor) -> None:
    explainer = lw.Explainer(sentences, "scores")
    explanation = explainer.explain(ids, target=2, method=lw.LRP(lw.epsilon()))
    assert explanation.relevance == pytest.approx(explanation.layer("words").sum(-1), rel=1e-12)


def test_gradients_of_tokens_are_those_of_their_embeddings(sentences: Sentences, ids: Tensor) -> None:
    embedded = sentences.words(ids).detach().requires_grad_()
    hidden = torch.relu(sentences.mix(embedded + sentences.places(torch.arange(5))))
    (gradient,) = torch.autograd.grad(sentences.out(hidden.mean(1))[:, 2].sum(), embedded)
    expected = {
        lw.Gradient(): gradient,
        lw.Sensitivity(): gradient**2,
        lw.SimpleTaylor(): gradient * embedded.detach(),
    }
    for method, each in expected.items():
        found = lw.Explainer(sentences, "scores").explain(ids, target=2, method=method).relevance
        assert found == pytest.approx(each.sum(-1), rel=1e-12)


def test_tokens_may_be_moved_about_before_they_are_looked_up(ids: Tensor) -> None:
    class Moving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words, self.out = nn.Embedding(20, 8), nn.Linear(8, 3)

        def forward(self, ids: Tensor) -> Tensor:
            first, rest = ids.to(torch.int32).t().flip(0)[1:].split([1, 3])
            return self.out(self.words(torch.cat([rest, first]).long()).relu().sum(0))

    explanation = lw.Explainer(Moving().eval()).explain(ids, target=0, method=lw.LRP(lw.epsilon()))
    assert bool((explanation.relevance[:, :4] != 0).all()) and not explanation.relevance[:, 4].any()
    alone = [lw.Explainer(Moving().eval()).explain(row[None], 0, lw.LRP(lw.epsilon())).relevance for row in ids]
    assert explanation.relevance == pytest.approx(torch.cat(alone), rel=1e-5)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_names_and_places_of_arguments_are_the_same(sentences: Sentences, ids: Tensor, method: Any) -> None:
    scale, mask = torch.rand(3, 2, 8).double(), torch.ones(3, 7)
    explainer = lw.Explainer(sentences, "scores")
    named = explainer.explain({"ids": ids, "scale": scale, "mask": mask}, 1, method).relevance
    placed = explainer.explain((ids, scale, mask), 1, method).relevance
    assert isinstance(named, dict) and isinstance(placed, tuple)
    assert [*named] == ["ids", "scale", "mask"]
    for one, other, given in zip(named.values(), placed, (ids, scale, mask), strict=True):
        assert torch.equal(one, other) and one.shape == given.shape


def test_whole_numbers_that_nobody_looks_up_are_constants(sentences: Sentences, ids: Tensor) -> None:
    mask = torch.tensor([[1, 1, 1, 0, 0]] * 3)
    explainer = lw.Explainer(sentences, "scores")
    for method in METHODS:
        relevance = explainer.explain({"ids": ids, "mask": mask}, 1, method).relevance
        assert not relevance["mask"].any() and not relevance["ids"][:, 3:].any()
        assert bool((relevance["ids"][:, :3] != 0).all())


def test_two_inputs_share_the_score(pictures: tuple[Tensor, Tensor]) -> None:
    model = Two().double()
    explanation = lw.Explainer(model, output=0).explain(pictures, target=1, method=lw.LRP(lw.epsilon(epsilon=0)))
    a, b = explanation.relevance
    assert a == pytest.approx(pictures[0] * model.one.weight[1].detach(), rel=1e-9)
    assert b == pytest.approx(pictures[1] * 2 * model.other.weight[1].detach(), rel=1e-9)
    assert explanation.total == pytest.approx(explanation.scores[:, 1], rel=1e-9)
    assert explanation.heatmap(2, of=1) == pytest.approx(b[2:].numpy())


def test_a_model_that_takes_one_dict(pictures: tuple[Tensor, Tensor]) -> None:
    model = Bagged().double()
    explainer = lw.Explainer(model)
    batch = {"pictures": list(pictures), "factor": 3.0}
    relevance = explainer.explain(batch, 1, lw.LRP(lw.epsilon(epsilon=0))).relevance
    assert relevance["factor"] == 3.0
    assert relevance["pictures"][0] == pytest.approx(3 * pictures[0] * model.two.one.weight[1].detach(), rel=1e-9)
    again = explainer.explain({**batch, "factor": 2.0}, 1, lw.LRP(lw.epsilon(epsilon=0))).relevance
    assert again["pictures"][1] == pytest.approx(relevance["pictures"][1] * 2 / 3, rel=1e-9)


def test_any_changed_tensor_is_noticed(pictures: tuple[Tensor, Tensor]) -> None:
    explainer, method = lw.Explainer(Two().double(), output=0), lw.LRP(lw.epsilon(epsilon=0))
    before = explainer.explain(pictures, 1, method).relevance[1]
    pictures[1].mul_(2)
    assert explainer.explain(pictures, 1, method).relevance[1] == pytest.approx(2 * before)


@pytest.mark.parametrize("output", ["scores", lambda out: out["scores"]], ids=["a key", "a function"])
def test_the_chosen_output_is_explained(sentences: Sentences, ids: Tensor, output: Any) -> None:
    explanation = lw.Explainer(sentences, output).explain(ids, target=2)
    assert torch.equal(explanation.scores, sentences(ids)["scores"].detach())


def test_a_function_may_compute_the_output(sentences: Sentences, ids: Tensor) -> None:
    for method in METHODS:
        one = lw.Explainer(sentences, lambda out: out["scores"]).explain(ids, target=2, method=method)
        cut = lw.Explainer(sentences, lambda out: out["scores"][:, 1:]).explain(ids, target=1, method=method)
        assert cut.relevance == pytest.approx(one.relevance, rel=1e-12)


def test_the_only_tensor_of_several_answers_is_taken(pictures: tuple[Tensor, Tensor]) -> None:
    class Loud(Two):
        def forward(self, a: Tensor, b: Tensor) -> Any:
            return {"loss": None, "scores": super().forward(a, b)[0]}

    assert lw.Explainer(Loud().double()).explain(pictures).scores.shape == (3, 4)


def test_what_is_the_same_for_every_row_need_not_be_repeated(pictures: tuple[Tensor, Tensor]) -> None:
    a, b = pictures
    explainer, method = lw.Explainer(Two().double(), output=0), lw.LRP(lw.epsilon(epsilon=0))
    shared = explainer.explain((a, b[:1]), 1, method)
    repeated = explainer.explain((a, b[:1].expand(3, 5)), 1, method)
    assert shared.relevance[0] == pytest.approx(repeated.relevance[0])
    assert shared.relevance[1] == pytest.approx(repeated.relevance[1].sum(0, keepdim=True))
    assert shared.total.sum() == pytest.approx(shared.explained.sum())


def error_of(explainer: lw.Explainer, x: Any, method: Any = None) -> str:
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        explainer.explain(x, method=method)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient()], ids=str)
def test_messages_of_inputs(sentences: Sentences, ids: Tensor, method: Any) -> None:
    explainer = lw.Explainer(sentences, "scores")
    broken = torch.full((3, 2, 8), torch.nan).double()
    assert error_of(explainer, {"ids": ids, "scale": broken}, method) == (
        "ValueError: The input['scale'] must be finite, got 48 NaN or infinite values of 48."
    )
    assert error_of(explainer, (ids[:0],), method) == (
        "ValueError: The input[0] must hold at least one row, got shape (0, 5)."
    )
    assert error_of(explainer, (), method) == (
        "TypeError: The input must be a torch.Tensor, got tuple. Convert it with torch.as_tensor(…)."
    )
    assert error_of(explainer, ids + 20, method) == (
        "RecordingError: Sentences raised IndexError on an input of shape (3, 5): index out of range in self "
        "(The layer 'words' raised it: Embedding(20, 8).)"
    )
    assert error_of(lw.Explainer(nn.Linear(5, 2)), ids, method) == (
        "TypeError: The input must be floating point, got torch.int64. Convert it with .float()."
    )


@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient()], ids=str)
def test_messages_of_outputs(sentences: Sentences, ids: Tensor, method: Any) -> None:
    assert error_of(lw.Explainer(sentences), ids, method) == (
        "TypeError: The model returns a dict, not a tensor. Say which output to explain: output=…, "
        "one of 'scores', 'hidden'."
    )
    assert error_of(lw.Explainer(nn.Linear(3, 2), output=1), torch.rand(1, 3), method) == (
        "TypeError: The model returns one tensor, and output=1 chooses among several. Leave it out."
    )
    assert error_of(lw.Explainer(sentences, lambda out: out.logits), ids, method) == (
        "TypeError: output raised AttributeError on a dict: 'dict' object has no attribute 'logits'. "
        "It must make a tensor of scores out of what the model returns."
    )
    assert error_of(lw.Explainer(sentences, lambda out: 3), ids, method) == (
        "TypeError: output must make a tensor of scores, it made an int."
    )
