"""lw.examine: nothing to say of a sound model, and every finding provoked by the smallest model that deserves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.analysis.doctor import SEVERITIES


class Then(nn.Module):
    """A network with one more step at its end."""

    def __init__(self, inner: nn.Module, step: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.step = inner, step

    def forward(self, x: Tensor) -> Any:
        return self.step(self.inner(x))


def dense(*rows: list[float], bias: list[float] | None = None) -> nn.Linear:
    """A dense layer with these weights, one row an output."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def sound() -> nn.Sequential:
    """Four features, dropout, two classes, no bias: nothing to object to."""
    return nn.Sequential(nn.Dropout(), dense([1.0, 2.0, 0.5, 1.0], [0.5, 0.2, 1.0, 0.1])).eval()


def stacked(*above: nn.Module) -> nn.Sequential:
    """A convolution with something above it; every weight is positive."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 2, 3, bias=False), nn.ReLU(), *above).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return model


def flat(size: int) -> nn.Linear:
    return nn.Linear(size, size, bias=False)


X = torch.tensor([[1.0, 0.5, 0.25, 2.0], [0.5, 1.0, 1.0, 0.5]])
PICTURES = torch.linspace(0, 1, 64).reshape(2, 2, 4, 4)

POSITIVE = "{} layer(s) have positive biases: they can create evidence that is in no input."
NO_POSITIVE = "Train with biases that are zero or negative."


def told(model: nn.Module, x: Tensor = X) -> list[tuple[str, str, str, str]]:
    """What the doctor finds, the model being left as it was."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    findings = lw.examine(model, x)
    assert all(isinstance(finding, lw.Finding) and finding.severity in SEVERITIES for finding in findings)
    assert [module.training for module in model.modules()] == modes
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)
    return [(finding.severity, finding.layer, finding.message, finding.remedy) for finding in findings]


def test_a_sound_model_has_no_findings():
    samples = lw.demo.data.digits()
    assert lw.examine(lw.demo.models.digits_cnn(), samples.inputs[:16]) == []
    assert told(sound()) == []
    assert told(stacked(nn.Flatten(), nn.Dropout(), flat(8)), PICTURES) == []


def test_the_demo_mlp_is_here_to_show_what_dropout_is_for():
    samples = lw.demo.data.digits()
    assert told(lw.demo.models.digits_mlp(), samples.inputs[:16]) == [
        (
            "note",
            "layers.1",
            "The dense layers were not trained with dropout.",
            "Train with dropout before the dense layers.",
        )
    ]


def test_training_mode():
    model = sound().train()
    said = "The model must be in evaluation mode, got training mode in 0. Call model.eval() first."
    assert told(model) == [("error", "", said, "Call model.eval() before you explain.")]


def test_training_mode_that_changes_nothing():
    model = sound()
    model.training = True
    said = "The model says it is in training mode, but no layer of it behaves differently there."
    assert told(model) == [("note", "", said, "Call model.eval() to be safe.")]


MUST_RUN = "The model must run at x before it is explained."


def test_training_mode_that_only_shows_when_it_runs():
    model = Then(sound(), nn.functional.dropout).eval()
    model.training = True
    said = (
        "RecordingError: The model itself draws random numbers in training mode: no two runs would agree. "
        "Call model.eval() first."
    )
    note = "The model says it is in training mode, but no layer of it behaves differently there."
    assert told(model) == [("error", "", said, MUST_RUN), ("note", "", note, "Call model.eval() to be safe.")]


@pytest.mark.parametrize(("value", "where"), [(float("nan"), "1.weight"), (float("inf"), "1.weight")])
def test_weights_that_are_not_finite(value, where):
    model = sound()
    with torch.no_grad():
        model.get_parameter(where)[0, :2] = value
    said = f"ValueError: The weights {where!r} must be finite, got 2 NaN or infinite values. Load them again."
    assert told(model) == [("error", "", said, MUST_RUN)]


def test_a_model_that_raises():
    def torn(scores: Tensor) -> Tensor:
        raise KeyError("ink")

    said = "RecordingError: Then raised KeyError on an input of shape (2, 4): 'ink'"
    assert told(Then(sound(), torn).eval()) == [("error", "", said, MUST_RUN)]


def test_an_input_that_cannot_be_explained():
    said = "TypeError: The input must be floating point, got torch.int64. Convert it with .float()."
    assert told(sound(), X.long()) == [("error", "", said, MUST_RUN)]
    said = "ValueError: The input must hold at least one row, got shape (0, 4)."
    assert told(sound(), X[:0]) == [("error", "", said, MUST_RUN)]


def test_what_is_no_model():
    said = "examine needs a torch.nn.Module, got function. Wrap a function in a Module."
    assert lw.examine(told, X) == [lw.Finding("error", "", said, "Hand over the network itself.")]


def test_complex_weights():
    model = nn.Sequential(nn.Linear(4, 2, dtype=torch.complex64)).eval()
    said = "The weights {!r} are torch.complex64: relevance of complex numbers is not defined."
    remedy = "Split them into real and imaginary parts."
    assert told(model) == [("error", "0", said.format(name), remedy) for name in ("0.weight", "0.bias")]


def test_a_model_without_parameters():
    said = ("note", "", "The model has no parameters.", "No rule applies then: is this the whole model?")
    assert told(nn.ReLU().eval()) == [said]


@pytest.mark.parametrize(
    ("end", "called"),
    [(nn.Softmax(1), "softmax"), (nn.LogSoftmax(1), "log_softmax"), (nn.Sigmoid(), "sigmoid")],
)
def test_an_end_in_a_probability(end, called):
    said = f"The model ends with {called}: relevance of a probability also says what speaks against others."
    remedy = "Explain the logit: leave the last activation out of the model."
    findings = told(nn.Sequential(sound(), end).eval())
    assert findings == [("warning", "1", said, remedy)]


def test_silent_channels():
    model = nn.Sequential(
        dense(*([-1.0] * 4 for _ in range(3)), [1.0] * 4), nn.ReLU(), nn.Dropout(), dense([1.0] * 4, [2.0] * 4)
    ).eval()
    said = "75% of the channels are silent on 2 input(s)."
    remedy = "Examine with more inputs; channels that stay silent are dead and can be cut."
    assert told(model) == [("note", "1", said, remedy)]
    half = nn.Sequential(
        dense([1.0] * 4, [1.0] * 4, [-1.0] * 4, [-1.0] * 4), nn.ReLU(), nn.Dropout(), dense([1.0] * 4)
    ).eval()
    assert told(half) == []


@pytest.mark.parametrize("kind", [nn.Sigmoid, nn.Tanh, nn.Hardsigmoid])
def test_saturated_activations(kind):
    model = nn.Sequential(
        dense(*([10.0] * 4 for _ in range(3))), kind(), nn.Dropout(), dense([1.0] * 3, [2.0] * 3)
    ).eval()
    said = "100% of the values are saturated: their gradient is close to zero."
    assert told(model) == [("note", "1", said, "Gradient methods see nothing here; relevance passes.")]
    assert told(model, X / 100) == []


def test_a_bias_that_takes_the_score():
    model = nn.Sequential(nn.Dropout(), dense([1.0, 0.0, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0], bias=[3.0, 0.0])).eval()
    x = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    said = "The bias absorbs 75% of the score under LRP-α1β0."
    remedy = "That part of the score is in no input: train with biases ≤ 0."
    assert told(model, x) == [("warning", "1", said, remedy), ("note", "1", POSITIVE.format(1), NO_POSITIVE)]


def test_a_batch_norm_that_cannot_be_folded():
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4), nn.ReLU(), *sound()).eval()
    remedy = "Place BatchNorm right behind a convolution or dense layer."
    said = "The BatchNorm {}: it takes a rule of its own, and its shift absorbs relevance."
    assert told(model) == [("note", "1", said.format("has no linear neighbour to fold into"), remedy)]
    model = nn.Sequential(*sound(), nn.BatchNorm1d(2, track_running_stats=False)).eval()
    assert ("note", "2", said.format("runs on batch statistics"), remedy) in told(model)
    assert told(nn.Sequential(*sound(), nn.BatchNorm1d(2)).eval()) == []  # this one folds


@torch.library.custom_op("doctor::thrice", mutates_args=())
def thrice(x: Tensor) -> Tensor:
    return 3 * x


@torch.library.custom_op("doctor::opaque", mutates_args=())
def opaque(x: Tensor) -> Tensor:
    return 3 * x


thrice.register_autograd(lambda context, gradient: 3 * gradient)


def test_an_operation_that_nobody_registered():
    said = "The operation is not in lw.operators.OPERATORS: it is approximated to first order."
    remedy = "Register how relevance passes it, for instance as lw.operators.routing."
    model = Then(sound(), thrice).eval()
    assert told(model) == [("warning", "doctor::thrice", said, remedy)]
    assert lw.Explainer(model).explain(X).fallbacks == ("doctor::thrice",)


def test_an_operation_without_a_derivative(monkeypatch):
    model = Then(sound(), opaque).eval()
    with pytest.raises(RuntimeError) as caught:
        lw.Explainer(model).explain(X)
    words_of_torch = str(caught.value.__cause__)
    assert "doctor.opaque" in words_of_torch
    said = (
        f"'doctor::opaque' has no derivative to pass relevance by ({words_of_torch}) Say how it passes: "
        "lw.operators.OPERATORS['doctor::opaque'] = lw.operators.identity, for instance."
    )
    assert str(caught.value) == said
    remedy = "Do what it says; explaining with lw.LRP(lw.epsilon()) shows the traceback."
    assert told(model) == [("error", "", f"Relevance could not be propagated. RuntimeError: {said}", remedy)]
    monkeypatch.setitem(lw.operators.OPERATORS, "doctor::opaque", lw.operators.identity)
    assert told(model) == []


def test_relevance_that_blows_up():
    # The score is the small difference of large contributions: 1 − (1 − 2⁻⁹).
    last = dense([1.0, 2.0**-9 - 1])
    model = nn.Sequential(dense([1.0, 0.0], [0.0, 1.0]), nn.ReLU(), nn.Dropout(), last).eval()
    said = "Under LRP-ε Σ|R| grows to 1022 times the score here."
    remedy = "Under α1β0 (lw.alpha_beta(alpha=1)) it is 1.0 times the score."
    assert told(model, torch.ones(1, 2)) == [("warning", "1", said, remedy)]
    with torch.no_grad():
        last.weight[0, 1] = -0.5
    assert told(model, torch.ones(1, 2)) == []


def test_relevance_that_no_rule_tames(monkeypatch: pytest.MonkeyPatch):
    weak = {"γ = 0.001": lw.epsilon_gamma_box(gamma=0.001, input=None), "ε = 0": lw.epsilon(epsilon=0)}
    monkeypatch.setattr("lrp_widgets.engine.analysis.doctor.TAMING", weak)
    last = dense([1.0, 2.0**-9 - 1])
    model = nn.Sequential(dense([1.0, 0.0], [0.0, 1.0]), nn.ReLU(), nn.Dropout(), last).eval()
    ((*_, remedy),) = told(model, torch.ones(1, 2))
    assert remedy == "No rule tames it here: under γ = 0.001 it is still 1022 times the score."


def test_the_output_that_is_meant_is_examined():
    model = Then(sound(), lambda scores: {"scores": scores, "shares": scores.softmax(1)}).eval()
    assert lw.examine(model, X, output="scores") == []
    (finding,) = lw.examine(model, X, output="shares")
    assert finding.message.startswith("The model ends with softmax")
    (finding,) = lw.examine(model, X)
    assert finding.severity == "error" and "one of 'scores', 'shares'" in finding.message


def test_too_many_dense_layers():
    above = [nn.Flatten(), nn.Dropout(), flat(8), nn.ReLU(), flat(8), nn.ReLU(), flat(8)]
    said = "The model has 3 dense layers: relevance spreads over unrelated features in them."
    assert told(stacked(*above), PICTURES) == [("note", "4", said, "Use as few dense layers as needed.")]
    assert told(stacked(*above[:-2]), PICTURES) == []
    assert (
        told(stacked(*above)[3:].eval(), PICTURES.flatten(1)[:, :8]) == []
    )  # a network of dense layers can be nothing else


def test_dense_layers_without_dropout():
    said = (
        "note",
        "3",
        "The dense layers were not trained with dropout.",
        "Train with dropout before the dense layers.",
    )
    assert told(stacked(nn.Flatten(), flat(8)), PICTURES) == [said]
    assert told(stacked(nn.Flatten()), PICTURES) == []


def test_max_pooling():
    said = "{} max pooling layer(s): all relevance goes to one winner in each window."
    remedy = "Prefer sum or average pooling, or treat them as proportional."
    above = [nn.MaxPool2d(2, stride=1), nn.MaxPool2d(1), nn.Flatten()]
    assert told(stacked(*above), PICTURES) == [("note", "2", said.format(2), remedy)]
    assert told(stacked(nn.AvgPool2d(2), nn.Flatten()), PICTURES) == []


def test_positive_biases():
    model = nn.Sequential(nn.Dropout(), dense([1.0] * 4, bias=[0.125]), nn.ReLU(), dense([1.0], bias=[-0.5])).eval()
    assert told(model) == [("note", "1", POSITIVE.format(1), NO_POSITIVE)]
    with torch.no_grad():
        model[1].bias.fill_(-0.125)
    assert told(model) == []


def test_the_gravest_comes_first():
    model = nn.Sequential(
        dense([1.0] * 4, *([-1.0] * 4 for _ in range(3)), bias=[9.0, 0.0, 0.0, 0.0]), nn.ReLU()
    ).eval()
    said = [(severity, message.split()[0]) for severity, _, message, _ in told(model)]
    assert said == [("warning", "The"), ("note", "75%"), ("note", "The"), ("note", "1")]
