"""Top patches: the places found by plain torch, the same pixels, and signals that start at the unit alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.methods import stream_patches


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lw.demo.models.digits_cnn().double()


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    return lw.demo.data.digits().inputs[:40].double()


def deconvolved(model: nn.Module, x: Tensor, channel: int, place: tuple[int, int], depth: int, guided: bool) -> Tensor:
    """Zeiler and Fergus layer by layer: every ReLU rectifies the signal on its way down."""
    values = [x]
    for layer in model.features[:depth]:
        values.append(layer(values[-1]))
    signal = torch.zeros_like(values[-1])
    signal[0, channel, *place] = values[-1][0, channel, *place]
    for layer, a in zip(reversed(model.features[:depth]), reversed(values[:-1]), strict=True):
        if isinstance(layer, nn.ReLU):
            signal = signal.clamp(min=0) * ((a > 0) if guided else 1)
        else:
            leaf = a.detach().requires_grad_()
            (signal,) = torch.autograd.grad(layer(leaf), leaf, signal)
    return signal


@pytest.mark.parametrize("back", [lw.Deconvolution(), lw.GuidedBackprop()], ids=lambda back: back.title)
@pytest.mark.parametrize(
    ("layer", "depth", "channel"), [("features.1", 2, 3), ("features.4", 5, 7), ("features.5", 6, 0)]
)
def test_they_are_where_plain_torch_finds_them(model, inputs, layer, depth, channel, back):
    maps = model.features[:depth](inputs).detach()[:, channel]
    best = maps.flatten(1).max(1).values.sort(descending=True).values[:5]
    field = lw.receptive_field(model, inputs[:1], layer)
    found = lw.top_patches(lw.Explainer(model), inputs, layer, channel, 5, batch=16, back=back)
    assert [patch.activation for patch in found] == pytest.approx(best.tolist())
    assert len({patch.index for patch in found}) == 5
    for patch in found:
        assert float(maps[patch.index][patch.position]) == pytest.approx(patch.activation)
        assert patch.box == field.box(*patch.position)
        top, left, bottom, right = patch.box
        x = inputs[patch.index : patch.index + 1]
        torch.testing.assert_close(patch.crop, x[0, :, top:bottom, left:right])
        signal = deconvolved(model, x, channel, patch.position, depth, isinstance(back, lw.GuidedBackprop) and
                             not isinstance(back, lw.Deconvolution))  # fmt: skip
        torch.testing.assert_close(patch.signal, signal[0, :, top:bottom, left:right])
        assert signal.sum() != 0
        assert signal.abs().sum() == pytest.approx(float(patch.signal.abs().sum()))


def test_relevance_starts_at_the_unit_and_stays_in_its_box(model, inputs):
    layer, channel = "features.4", 7
    explainer = lw.Explainer(model)
    found = lw.top_patches(explainer, inputs, layer, channel, 3, composite=lw.epsilon(epsilon=0.0))
    for patch in found:
        x = inputs[patch.index : patch.index + 1]
        head = lw.Explainer(Unit(model.features[:5], channel, patch.position))
        expected = head.explain(x, 0, lw.LRP(lw.epsilon(epsilon=0.0))).relevance[0]
        top, left, bottom, right = patch.box
        torch.testing.assert_close(patch.relevance, expected[:, top:bottom, left:right])
        assert float(patch.relevance.sum()) == pytest.approx(float(expected.sum()))


class Unit(nn.Module):
    """One unit of a hidden layer as the only score."""

    def __init__(self, below: nn.Module, channel: int, position: tuple[int, int]) -> None:
        super().__init__()
        self.below, self.channel, self.position = below, channel, position

    def forward(self, x: Tensor) -> Tensor:
        row, column = self.position
        return self.below(x)[:, self.channel, row, column][:, None]


def test_batches_make_no_difference_and_an_input_may_count_several_times(model, inputs):
    explainer = lw.Explainer(model)
    maps = model.features[:5](inputs).detach()[:, 7]
    many = lw.top_patches(explainer, inputs, "features.4", 7, 6, per_input=maps[0].numel(), batch=7)
    best = maps.flatten().sort(descending=True).values[:6]
    assert [patch.activation for patch in many] == pytest.approx(best.tolist())
    whole = lw.top_patches(explainer, inputs, "features.4", 7, 6, per_input=maps[0].numel(), batch=100)
    for one, other in zip(many, whole, strict=True):
        assert (one.index, one.position, one.box) == (other.index, other.position, other.box)
        torch.testing.assert_close(one.signal, other.signal)
        torch.testing.assert_close(one.relevance, other.relevance)


def test_a_residual_network_with_batch_norm():
    model, inputs = lw.demo.models.photos_cnn().double(), lw.demo.data.photos().inputs.double()
    (patch, *_) = lw.top_patches(lw.Explainer(model), inputs, "blocks.1", 5, 2)
    with torch.no_grad():
        first = model.relu(model.whiten(inputs))
        block = model.blocks[1]
        x = block.pool(block.relu(block.norm1(block.conv1(model.blocks[0](first)))))
        maps = block.relu(x + block.norm2(block.conv2(x)))[:, 5]
    # The module ends with its last ReLU.
    assert patch.activation == pytest.approx(float(maps.max()))
    assert float(maps[patch.index][patch.position]) == pytest.approx(patch.activation)
    assert float(patch.signal.abs().sum()) > 0 and float(patch.relevance.sum()) > 0


def test_a_neuron_of_a_dense_layer_sees_all(model, inputs):
    (patch,) = lw.top_patches(lw.Explainer(model), inputs, "classifier.2", 3, 1)
    assert patch.activation == pytest.approx(float(model(inputs)[:, 3].detach().max()))
    assert (patch.position, patch.box) == ((0, 0), (0, 0, 28, 28))


def test_it_comes_in_steps_and_leaves_the_explainer_alone(model, inputs):
    explainer = lw.Explainer(model)
    explainer.explain(inputs[:1])
    steps = list(stream_patches(explainer, inputs, "features.4", 7, 9, batch=8))
    assert [len(found) for found in steps] == [0, 0, 0, 0, 0, 8, 9]
    assert steps[-1][0].relevance is None
    assert explainer.remembers(inputs[:1])


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"channel": 48}, ValueError, "channel must lie in [0, 47], the channels of 'features.4', got 48."),
        ({"count": 0}, ValueError, "count must be a whole number, at least 1, got 0."),
        ({"per_input": 0.5}, ValueError, "per_input must be a whole number, at least 1, got 0.5."),
        ({"back": lw.Gradient()}, TypeError, "back must be lw.Deconvolution() or lw.GuidedBackprop(), got Gradient()."),
    ],
)
def test_errors_say_what_to_do(model, inputs, changes, kind, said):
    given = {"layer": "features.4", "channel": 0, **changes}
    with pytest.raises(kind) as told:
        lw.top_patches(lw.Explainer(model), inputs, **given)
    assert str(told.value) == said
    with pytest.raises(KeyError, match="No recorded layer is called 'nowhere'"):
        lw.top_patches(lw.Explainer(model), inputs, "nowhere", 0)
