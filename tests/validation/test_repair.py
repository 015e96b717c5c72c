"""A direction that is projected out, and a model that learns to look elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.validation.planted import decoys


@pytest.mark.parametrize("kind", ["maps", "features", "tokens"])
def test_a_direction_is_projected_out(kind):
    torch.manual_seed(0)
    networks = {
        "maps": (nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 16, 3)), (4, 2, 6, 6), 1),
        "features": (nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)), (4, 7), 1),
        "tokens": (nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3), nn.Flatten()), (4, 6, 7), 2),
    }
    model, shape, axis = networks[kind]
    model = model.double().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, v, z = torch.randn(shape).double(), torch.randn(5).double(), torch.randn(5).double()
    unit = v / v.norm()
    steered = lw.without(model, "0", v, z)
    seen: list[Tensor] = []
    handle = steered[1].register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    answer = steered(x)
    handle.remove()
    behind, h = seen[0].movedim(axis, -1), model[0](x).movedim(axis, -1)
    along = (behind @ unit).flatten()
    torch.testing.assert_close(along, (z @ unit).expand_as(along), rtol=1e-12, atol=1e-12)
    rest = h - (h @ unit)[..., None] * unit
    torch.testing.assert_close(behind - (z @ unit) * unit, rest, rtol=1e-10, atol=1e-12)  # all else is kept
    assert not torch.allclose(answer, model(x)) and not model[0]._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    explanation = lw.Explainer(steered).explain(x, 0, lw.LRP(lw.epsilon()))
    assert all(line.closes for line in explanation.layers)
    torch.testing.assert_close(explanation.scores, answer)
    torch.testing.assert_close(lw.without(model, "0", v, float(z @ unit))(x), answer)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"layer": "nowhere"}, r"The model has no layer 'nowhere'\. Its layers are: 0, 1, 2"),
        ({"direction": torch.zeros(5)}, "direction must not be zero"),
        ({"direction": torch.full((5,), float("nan"))}, "must be finite"),
        ({"direction": "up"}, "direction and level must be numbers"),
        ({"level": torch.zeros(3)}, "level must be one number or one a channel"),
    ],
)
def test_what_cannot_be_projected_out(more, said):
    model = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    arguments = {"layer": "0", "direction": torch.ones(5), "level": 0.0} | more
    with pytest.raises((KeyError, TypeError, ValueError), match=said):
        lw.without(model, **arguments)
    with pytest.raises(ValueError, match="direction has 4 numbers"):
        lw.without(model, "0", torch.ones(4))(torch.zeros(2, 7))


def accuracy(model: nn.Module, samples: lw.Samples) -> float:
    with torch.no_grad():
        return float((model(samples.inputs).argmax(1) == torch.as_tensor(samples.labels)).double().mean())


def test_a_model_learns_to_look_elsewhere():
    torch.manual_seed(0)
    train, scrambled = decoys(600, True, 0), decoys(600, False, 1)
    fresh = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    nothing = torch.zeros(1, 1, 6, 6)
    mask = nothing.clone()
    mask[..., 0, 0] = 1
    hans = lw.retrain(fresh, train, nothing, epochs=12, rate=1e-2)
    mended = lw.retrain(hans.model, train, mask, strength=10.0, epochs=12, rate=1e-2)
    assert accuracy(hans.model, train) > 0.99 and accuracy(hans.model, scrambled) < 0.9
    assert accuracy(mended.model, scrambled) > 0.97
    assert [epoch.number for epoch in mended.log] == list(range(1, 13))
    assert mended.log[-1].penalty < 0.2 * mended.log[0].penalty and not mended.model.training
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())
    again = lw.retrain(hans.model, train, mask, strength=10.0, epochs=12, rate=1e-2)
    assert again.log == mended.log
    by_relevance = lw.retrain(hans.model, train, mask, strength=3.0, of="relevance", epochs=12, rate=1e-2)
    assert accuracy(by_relevance.model, scrambled) > 0.97


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"strength": -1}, "strength must be a number from 0 up"),
        ({"masks": torch.ones(3, 3)}, "masks must broadcast to the inputs"),
        ({"of": "attention"}, "of must be one of"),
        ({"epochs": 0}, "epochs must lie in"),
        ({"samples": lw.Samples(torch.zeros(4, 1, 6, 6))}, "retrain needs the label of each sample"),
        ({"model": None}, r"needs a torch\.nn\.Module"),
    ],
)
def test_what_cannot_be_retrained(more, said):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval()
    arguments = {"model": model, "samples": decoys(20, True, 0), "masks": torch.ones(1, 1, 6, 6)} | more
    with pytest.raises((TypeError, ValueError), match=said):
        lw.retrain(**arguments)
