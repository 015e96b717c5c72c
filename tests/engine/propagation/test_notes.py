"""What an explanation says beside its numbers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lrp_widgets as lw
from lrp_widgets.engine.trace.tape import RecordingError

X = torch.rand(2, 6, generator=torch.Generator().manual_seed(0))


def dense() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval()


def notes(model: nn.Module, x: Tensor, composite: lw.Composite) -> tuple[str, ...]:
    return lw.Explainer(model).explain(x, 0, lw.LRP(composite)).notes


def test_a_flat_rule_on_a_dense_layer_says_nothing_of_its_inputs() -> None:
    (note,) = notes(dense(), X, lw.epsilon(input="flat"))
    assert note.startswith("The flat rule on the dense layer '0' gives each of its inputs the same relevance")
    convolution = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)).eval()
    assert notes(convolution, X[:, None], lw.epsilon(input="flat")) == ()


def test_inputs_outside_of_the_box() -> None:
    box = lw.epsilon(input="zB", low=0.0, high=1.0)
    assert notes(dense(), X, box) == ()
    outside = X.clone()
    outside[0, :3] = torch.tensor([-0.5, 1.5, 1.0])
    (note,) = notes(dense(), outside, box)
    assert note.startswith("z^B at '0' takes inputs from its box; 2 lie outside of it") and "(0 to 1 now)" in note


def test_relevance_that_is_not_finite_is_named_and_found_by_the_doctor() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = dense()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) * 1.0

    lw.operators.OPERATORS["mul"], before = _to_nan, lw.operators.OPERATORS["mul"]
    try:
        (note,) = notes(Broken().eval(), X, lw.epsilon())
        findings = lw.examine(Broken().eval(), X)
    finally:
        lw.operators.OPERATORS["mul"] = before
    assert note.startswith("The relevance is not finite: it is NaN or infinite first at 'mul' (mul).")
    assert "Under LRP-0 the relevance is NaN or infinite from 'mul' (mul) on." in [f.message for f in findings]


def _to_nan(step: object, tape: object, options: object) -> object:
    return lambda relevance: ([relevance * torch.nan], {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_layers_are_refused() -> None:
    quantized = torch.ao.quantization.quantize_dynamic(dense())
    with pytest.raises(RecordingError, match=r"The layer '0' is quantized: it computes with whole numbers"):
        lw.Explainer(quantized).explain(X, 0)


def test_a_sparse_tensor_made_of_the_input_is_refused() -> None:
    class Sparse(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.to_sparse().to_dense()

    with pytest.raises(RecordingError, match="makes a sparse tensor of the input"):
        lw.Explainer(Sparse()).explain(X, 0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: X.to_sparse(),
            r"must be a dense tensor, got one of layout torch.sparse_coo. Convert it with .to_dense\(\)",
        ),
        (lambda: X.to_sparse_csr(), "got one of layout torch.sparse_csr"),
        (lambda: torch.nested.nested_tensor([X[0], X[1]]), "must be one dense tensor, got a nested one. Pad it"),
        (lambda: torch.empty(2, 6, device="meta"), "has a shape and no numbers"),
        (
            lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.quint8),
            r"got torch.quint8. Convert it with .dequantize\(\)",
        ),
        (lambda: X.long(), r"must be floating point, got torch.int64. Convert it with .float\(\)"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_inputs_of_other_kinds_are_refused_in_words(make: Callable[[], Tensor], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        lw.Explainer(dense()).explain(make(), 0)


def test_whole_numbers_are_not_told_to_become_what_the_model_refuses() -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(5, 3)

        def forward(self, ids: Tensor) -> Tensor:
            return self.bag(ids) @ torch.ones(4, 2)  # of the wrong size

    with pytest.raises(RecordingError) as error:
        lw.Explainer(Bag().eval()).explain(torch.ones(2, 3, dtype=torch.long), 0)
    assert ".float()" not in str(error.value)


class Padded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.tensor([[False, False, False], [False, True, True]])
        return self.head(self.encoder(x, src_key_padding_mask=mask).mean(1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_fast_path_of_attention() -> None:
    model, x = Padded().eval(), torch.randn(2, 3, 8)
    explainer = lw.Explainer(model)
    explanation = explainer.explain(x, 0, lw.LRP(lw.epsilon()))
    torch.testing.assert_close(explanation.scores, explainer.scores(x))
    torch.testing.assert_close(explanation.scores, model(x).detach())  # with gradients there is no fast path
    (note,) = explanation.notes
    assert note.startswith("In evaluation mode torch runs attention on a fast path that answers otherwise here")


def test_a_spatial_transformer() -> None:
    """The grid says where to look, the picture takes all."""

    class Spatial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.where = nn.Linear(16, 6)

        def forward(self, x: Tensor) -> Tensor:
            theta = self.where(x.flatten(1)).reshape(-1, 2, 3)
            grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
            return functional.grid_sample(x, grid, align_corners=False).flatten(1)

    model, x = Spatial(), torch.rand(2, 1, 4, 4)
    explanation = lw.Explainer(model).explain(x, 5, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.total, explanation.explained)

    class Held(Spatial):
        def forward(self, y: Tensor) -> Tensor:
            theta = self.where(x.flatten(1)).reshape(-1, 2, 3)
            return functional.grid_sample(
                y, functional.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False
            ).flatten(1)

    held = Held()
    held.load_state_dict(model.state_dict())
    expected = lw.Explainer(held).explain(x, 5, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.relevance, expected.relevance)


@pytest.mark.parametrize("size", [1.0, 1e-8, 1e-20, 10.0])
def test_small_numbers_are_explained_like_large_ones(size: float) -> None:
    """A gated linear unit at any scale: what is linear in x takes its share, whatever the unit of x."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4, bias=False), nn.GLU())
    explanation = lw.Explainer(model).explain(X * size, 0, lw.LRP(lw.epsilon(epsilon=0)))
    got = explanation.total / explanation.explained
    x = (X * size).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    expected = (gradient * x).sum(1) / model(x)[:, 0]
    torch.testing.assert_close(got, expected.detach().double(), rtol=1e-4, atol=1e-6)


class Replaced(nn.Module):
    """A row that is masked out whole becomes NaN, goes through a layer, and is replaced at the end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.tensor([[True, True], [False, False]])
        weights = (x @ x.transpose(1, 2)).masked_fill(~mask, -torch.inf).softmax(-1)
        return self.last(self.layer(weights @ x).nan_to_num().sum(1))


def test_numbers_that_are_not_finite_in_the_model_are_laid_to_the_model() -> None:
    (note,) = notes(Replaced().eval(), torch.rand(1, 2, 4), lw.epsilon())
    assert note.startswith(
        "The relevance is not finite: it is NaN or infinite first at 'layer.addmm' (addmm). There the"
    )
