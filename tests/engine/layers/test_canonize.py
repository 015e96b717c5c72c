"""BatchNorm folds into its neighbour, exactly: relevance agrees with a network that was folded by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import Tape, record


def trained_norm(norm: nn.Module) -> nn.Module:
    """A BatchNorm as after training: its own statistics, scales of either sign, shifts."""
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.3, 3.0)
    if norm.weight is not None:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return norm


def terms(norm: nn.Module) -> tuple[Tensor, Tensor]:
    scale = 1 / torch.sqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias


@torch.no_grad()
def folded_after(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """BatchNorm behind a layer, folded by hand: one output channel after the other."""
    scale, shift = terms(norm)
    weight = layer.weight.clone()
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    channels = layer.out_channels if hasattr(layer, "out_channels") else layer.out_features
    for c in range(channels):
        if transposed:
            group, within = divmod(c, weight.shape[1])
            rows = weight.shape[0] // layer.groups
            weight[group * rows : (group + 1) * rows, within] *= scale[c]
        else:
            weight[c] *= scale[c]
    bias = torch.zeros(channels).double() if layer.bias is None else layer.bias.clone()
    return rebuilt(layer, weight, bias * scale + shift)


@torch.no_grad()
def folded_before(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """BatchNorm in front of a layer without padding, folded by hand: one input channel after the other."""
    scale, shift = terms(norm)
    weight, bias = layer.weight.clone(), layer.bias.clone()
    groups = getattr(layer, "groups", 1)
    for c in range(len(scale)):
        if groups == 1:
            bias += weight[:, c].flatten(1).sum(1) * shift[c] if weight.ndim > 2 else weight[:, c] * shift[c]
            weight[:, c] *= scale[c]
        else:
            group, within = divmod(c, weight.shape[1])
            rows = slice(group * weight.shape[0] // groups, (group + 1) * weight.shape[0] // groups)
            bias[rows] += weight[rows, within].flatten(1).sum(1) * shift[c]
            weight[rows, within] *= scale[c]
    return rebuilt(layer, weight, bias)


def rebuilt(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    if isinstance(layer, nn.Linear):
        new = nn.Linear(layer.in_features, layer.out_features)
    else:
        options = {
            name: getattr(layer, name)
            for name in ("kernel_size", "stride", "padding", "dilation", "groups", "output_padding")
        }
        if not layer.transposed:
            options.pop("output_padding")
        new = type(layer)(layer.in_channels, layer.out_channels, **options)
    new = new.double()
    new.weight.copy_(weight)
    new.bias = nn.Parameter(bias)
    return new


def tape_of(model: nn.Module, x: Tensor) -> Tape:
    return canonize(record(model, (x,), lambda result: result), Memo())


COMPOSITES = {
    "0": lw.epsilon(0.0),
    "ε": lw.epsilon(0.1),
    "αβ": lw.alpha_beta(2.0),
    "γ": lw.Composite((lw.Entry(lw.rules.Gamma(0.3)),)),
    "w²": lw.Composite((lw.Entry(lw.rules.WSquare(), "input"), lw.Entry(lw.rules.ZPlus()))),
    "z^B": lw.alpha_beta(1.0, input="zB", low=-4.0, high=4.0),
}


def assert_same(model: nn.Module, by_hand: nn.Module, x: Tensor) -> None:
    """The model's relevance under every composite is that of the network folded by hand, to 1e-12."""
    model, by_hand = model.double().eval(), by_hand.double().eval()
    assert torch.allclose(model(x), by_hand(x), rtol=1e-12, atol=1e-12)
    assert not any("batch_norm" in step.op for step in tape_of(model, x).steps)
    one, other = lw.Explainer(model), lw.Explainer(by_hand)
    for name, composite in COMPOSITES.items():
        got, expected = (e.explain(x, 1, lw.LRP(composite)) for e in (one, other))
        error = float((got.relevance - expected.relevance).abs().max() / expected.relevance.abs().max())
        assert error <= 1e-12, f"{name}: {error:.1e}"
        assert all(line.closes for line in got.layers)


AFTER: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (lambda: nn.Conv1d(3, 4, 3), lambda: nn.BatchNorm1d(4), (3, 8)),
    "conv2d padded": (lambda: nn.Conv2d(3, 4, 3, padding=1, stride=2), lambda: nn.BatchNorm2d(4), (3, 7, 7)),
    "conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False), lambda: nn.BatchNorm2d(6), (4, 6, 6)),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), lambda: nn.BatchNorm2d(4), (4, 6, 6)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), lambda: nn.BatchNorm3d(3), (2, 3, 4, 4)),
    "no affine": (lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(4, affine=False), (3, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), lambda: nn.BatchNorm2d(4), (3, 4, 4)),
    "transposed groups": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, groups=2, bias=False),
        lambda: nn.BatchNorm2d(6),
        (4, 3, 3),
    ),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2), lambda: nn.BatchNorm1d(6), (4, 5)),
    "linear": (lambda: nn.Linear(5, 6), lambda: nn.BatchNorm1d(6), (5,)),
    "linear without bias": (lambda: nn.Linear(5, 6, bias=False), lambda: nn.BatchNorm1d(6, eps=0.1), (5,)),
}


@pytest.mark.parametrize("case", AFTER)
def test_folds_behind_a_layer(case: str) -> None:
    torch.manual_seed(0)
    make, make_norm, shape = AFTER[case]
    layer, norm = make().double(), trained_norm(make_norm()).double().eval()
    x = torch.randn(3, *shape).double()
    width = layer(x).flatten(1).shape[1]
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(width, 3).double())
    assert_same(nn.Sequential(layer, norm, head), nn.Sequential(folded_after(layer, norm), head), x)


BEFORE: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv2d": (lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(3), (3, 6, 6)),
    "conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), lambda: nn.BatchNorm2d(4), (4, 6, 6)),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4), lambda: nn.BatchNorm2d(4), (4, 6, 6)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3), lambda: nn.BatchNorm1d(3), (3, 6)),
    "linear": (lambda: nn.Linear(5, 6), lambda: nn.BatchNorm1d(5), (5,)),
}


@pytest.mark.parametrize("case", BEFORE)
def test_folds_in_front_of_a_layer(case: str) -> None:
    torch.manual_seed(0)
    make, make_norm, shape = BEFORE[case]
    layer, norm = make().double(), trained_norm(make_norm()).double().eval()
    x = torch.randn(3, *shape).double()
    width = layer(x).flatten(1).shape[1]
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(width, 3).double())
    assert_same(nn.Sequential(norm, layer, head), nn.Sequential(folded_before(layer, norm), head), x)


class ShiftedInside(nn.Module):
    """BatchNorm in front of a padded layer, by hand: the shift is inside the picture only, so the bias is a map."""

    def __init__(self, layer: nn.Module, norm: nn.Module, x: Tensor) -> None:
        super().__init__()
        scale, shift = terms(norm)
        spatial = [1] * (x.ndim - 2)
        with torch.no_grad():
            inside = shift.reshape(1, -1, *spatial).expand_as(x[:1])
            self.layer = rebuilt(layer, layer.weight, torch.zeros_like(layer.bias))
            self.layer.bias = None
            self.shift = nn.Parameter(self.layer(inside) + layer.bias.reshape(1, -1, *spatial))
            if layer.transposed:
                self.layer.weight.mul_(scale.reshape(-1, 1, *spatial))
            else:
                self.layer.weight.mul_(scale.reshape(1, -1, *spatial))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.shift


PADDED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv2d": (lambda: nn.Conv2d(3, 4, 3, padding=1), (3, 5, 5)),
    "conv2d strided": (lambda: nn.Conv2d(3, 4, 5, padding=2, stride=2, dilation=1), (3, 6, 6)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1), (3, 4, 4)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 3, padding=1), (2, 3, 3, 3)),
}


@pytest.mark.parametrize("case", PADDED)
def test_folds_in_front_of_a_padded_layer(case: str) -> None:
    torch.manual_seed(0)
    make, shape = PADDED[case]
    norms = {3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
    layer, norm = make().double(), trained_norm(norms[len(shape)](shape[0])).double().eval()
    x = torch.randn(3, *shape).double()
    width = layer(x).flatten(1).shape[1]
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(width, 3).double())
    assert_same(nn.Sequential(norm, layer, head), nn.Sequential(ShiftedInside(layer, norm, x), head), x)


def test_folds_from_both_sides() -> None:
    torch.manual_seed(0)
    before, after = (trained_norm(nn.BatchNorm2d(c)).double().eval() for c in (3, 4))
    layer, x = nn.Conv2d(3, 4, 3).double(), torch.randn(2, 3, 6, 6).double()
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(64, 3).double())
    by_hand = folded_after(folded_before(layer, before), after)
    assert_same(nn.Sequential(before, layer, after, head), nn.Sequential(by_hand, head), x)


def test_folds_from_both_sides_of_a_padded_layer() -> None:
    torch.manual_seed(0)
    before, after = (trained_norm(nn.BatchNorm2d(c)).double().eval() for c in (3, 4))
    layer, x = nn.Conv2d(3, 4, 3, padding=1).double(), torch.randn(2, 3, 5, 5).double()
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(100, 3).double())
    by_hand = ShiftedInside(layer, before, x)
    scale, shift = (t.reshape(1, -1, 1, 1) for t in terms(after))
    with torch.no_grad():
        by_hand.layer.weight.mul_(scale.reshape(-1, 1, 1, 1))
        by_hand.shift.mul_(scale).add_(shift)
    assert_same(nn.Sequential(before, layer, after, head), nn.Sequential(by_hand, head), x)


def test_two_in_a_row_fold() -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(3, 4, 3).double(), torch.randn(2, 3, 6, 6).double()
    one, two = (trained_norm(nn.BatchNorm2d(4)).double().eval() for _ in range(2))
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(64, 3).double())
    assert_same(
        nn.Sequential(layer, one, two, head), nn.Sequential(folded_after(folded_after(layer, one), two), head), x
    )


def test_a_bias_added_by_hand_and_batch_norm_fold_together() -> None:
    torch.manual_seed(0)
    linear, norm = nn.Linear(5, 6).double(), trained_norm(nn.BatchNorm1d(6)).double().eval()

    class Spelled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = linear, norm

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x @ self.linear.weight.T + self.linear.bias)

    head = nn.Sequential(nn.ReLU(), nn.Linear(6, 3).double())
    x = torch.randn(3, 5).double()
    assert_same(nn.Sequential(Spelled(), head), nn.Sequential(folded_after(linear, norm), head), x)


def test_the_folded_layer_answers_to_both_names() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), trained_norm(nn.BatchNorm2d(2)), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)
    ).eval()
    tape = tape_of(model, torch.rand(1, 1, 4, 4))
    assert [step.name for step in tape.steps] == ["0", "2", "3", "4"]
    assert tape.steps[0].modules == ("0", "1")
    explanation = lw.Explainer(model).explain(torch.rand(1, 1, 4, 4), 0, lw.LRP(lw.epsilon()))
    assert torch.equal(explanation.layer("0"), explanation.layer("1"))
    only_one = lw.Composite((lw.Entry(lw.rules.Flat(), "1"), lw.Entry(lw.rules.Zero())))
    rules = [line.rule for line in lw.Explainer(model).explain(torch.rand(1, 1, 4, 4), 0, lw.LRP(only_one)).layers]
    assert rules == [lw.rules.Flat(), None, None, lw.rules.Zero()]


class ReadTwice(nn.Module):
    """The convolution's answer is read twice: BatchNorm cannot disappear into it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(2, 3, 3), trained_norm(nn.BatchNorm2d(3)), nn.Linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        return self.head(torch.relu(self.norm(z) + z).flatten(1))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        (lambda: [trained_norm(nn.BatchNorm2d(2)), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)], (2, 4, 4)),
        (lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), trained_norm(nn.BatchNorm2d(3)), nn.ReLU(), nn.Flatten()], (2, 4, 4)),
        (lambda: [nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), trained_norm(nn.BatchNorm2d(3)), nn.Flatten()], (2, 4, 4)),
        (lambda: [nn.Linear(4, 5), trained_norm(nn.BatchNorm1d(3)), nn.Flatten()], (3, 4)),  # channels, not features
        (lambda: [ReadTwice()], (2, 6, 6)),
    ],
    ids=["first", "behind a ReLU", "behind pooling", "over the other axis", "read twice"],
)
@pytest.mark.parametrize("composite", list(COMPOSITES.values()), ids=list(COMPOSITES))
def test_what_cannot_fold_stays_a_layer(
    layers: Callable[[], list[nn.Module]], shape: tuple[int, ...], composite: lw.Composite
) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(*layers()).double().eval(), torch.randn(2, *shape).double()
    tape = tape_of(model, x)
    norm = next(step for step in tape.steps if "batch_norm" in step.op)
    assert norm.affine.kind == "normalization"
    with torch.no_grad():
        a, z = tape.values[norm.inputs[0]], tape.values[norm.outputs[0]]
        assert torch.allclose(norm.affine.forward(a, norm.affine.weight) + norm.affine.bias, z, atol=1e-13)
    explanation = lw.Explainer(model).explain(x, 1, lw.LRP(composite))
    assert all(line.closes for line in explanation.layers)
    assert explanation.fallbacks == ()


def test_statistics_of_the_batch_are_not_folded() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten()).eval()
    assert any("batch_norm" in step.op for step in tape_of(model, torch.rand(2, 2, 5, 5)).steps)


def test_weights_are_folded_once_for_a_model() -> None:
    torch.manual_seed(0)
    norms = [trained_norm(nn.BatchNorm2d(c)) for c in (2, 3)]
    model = nn.Sequential(norms[0], nn.Conv2d(2, 3, 3), norms[1], nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)).eval()
    weights = Memo()
    first = canonize(record(model, (torch.rand(1, 2, 5, 5),), lambda r: r), weights)
    computed = weights.computed
    second = canonize(record(model, (torch.rand(1, 2, 5, 5),), lambda r: r), weights)
    assert weights.computed == computed
    assert [step.affine for step in first.steps] == [step.affine for step in second.steps]


def test_what_does_nothing_is_dropped() -> None:
    class Idle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x.clone().detach().contiguous().clone())

    assert [step.op for step in tape_of(Idle(), torch.rand(2, 3)).steps] == ["relu"]


def test_what_was_between_is_not_kept():
    norm = trained_norm(nn.BatchNorm2d(4))
    model = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    tape = canonize(record(model, torch.rand(2, 1, 4, 4), lambda result: result), Memo())
    assert [step.op for step in tape.steps] == ["convolution", "relu", "view", "addmm"]
    assert len(tape.values) == 1 + len(tape.steps)
