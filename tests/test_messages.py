"""The exact text of every error a user can provoke: it names the thing, what it got, what it must be, what to do.

In a table each row is an expression and the error it raises; a row goes on in the indented lines below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.methods import METHODS, WRAPPERS
from lrp_widgets.params import Setting, choice, param, span, switch

inf, nan = float("inf"), float("nan")


def table(text: str) -> pytest.MarkDecorator:
    """One test for each expression."""
    rows = [row.split(" → ") for row in text.replace("\n    ", " ").splitlines() if row]
    return pytest.mark.parametrize(("expression", "said"), [pytest.param(*row, id=row[0]) for row in rows])


def error_of(make: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:
        make()
    return f"{type(caught.value).__name__}: {caught.value.args[0]}"


@dataclass(frozen=True)
class Dial(Setting):
    """Every kind of parameter."""

    part: float = param(0.5, low=0, high=1)
    size: float = param(1.0, low=0)
    less: float = param(1.0, high=2)
    free: float = param(0.0)
    count: int = param(3, low=1, high=9)
    many: int = param(3, low=1)
    mode: str | int | None = choice("a", ("a", 1, None))
    on: bool = switch(False)
    between: tuple[float, float] = span((0.2, 0.8), low=0, high=1)


@table("""
Dial(part=-0.1) → ValueError: Dial.part must lie in [0.0, 1.0], got -0.1.
Dial(part=nan) → ValueError: Dial.part must lie in [0.0, 1.0], got nan.
Dial(part=inf) → ValueError: Dial.part must lie in [0.0, 1.0], got inf.
Dial(part="a") → TypeError: Dial.part must be a number, got 'a'.
Dial(part=True) → TypeError: Dial.part must be a number, got True.
Dial(part=torch.tensor(0.5)) → TypeError: Dial.part must be a number, got tensor(0.5000). Convert it with .item().
Dial(size=-1) → ValueError: Dial.size must be at least 0.0, got -1.
Dial(size=inf) → ValueError: Dial.size must be finite, got inf.
Dial(less=3) → ValueError: Dial.less must be at most 2.0, got 3.
Dial(less=-inf) → ValueError: Dial.less must be finite, got -inf.
Dial(free=nan) → ValueError: Dial.free must be finite, got nan.
Dial(count=0) → ValueError: Dial.count must lie in [1, 9], got 0.
Dial(count=2.0) → TypeError: Dial.count must be a whole number, got 2.0.
Dial(count=True) → TypeError: Dial.count must be a whole number, got True.
Dial(count=torch.tensor(3)) → TypeError: Dial.count must be a whole number, got tensor(3). Convert it with int(…).
Dial(many=0) → ValueError: Dial.many must be at least 1, got 0.
Dial(mode="b") → ValueError: Dial.mode must be one of 'a', 1, None, got 'b'.
Dial(mode=True) → ValueError: Dial.mode must be one of 'a', 1, None, got True.
Dial(on=1) → TypeError: Dial.on must be True or False, got 1.
Dial(between=(0.8, 0.2)) → ValueError: Dial.between must be two rising numbers in [0.0, 1.0], got (0.8, 0.2).
Dial(between=(0.5, 3)) → ValueError: Dial.between must be two rising numbers in [0.0, 1.0], got (0.5, 3).
Dial(between=(nan, 1)) → ValueError: Dial.between must be two rising numbers in [0.0, 1.0], got (nan, 1).
Dial(between=[0, 1]) → TypeError: Dial.between must be a tuple of two numbers (start, stop), got [0, 1].
Dial(between=(0, 0, 1)) → TypeError: Dial.between must be a tuple of two numbers (start, stop), got (0, 0, 1).
Dial(between=(False, True)) → TypeError: Dial.between must be a tuple of two numbers (start, stop), got (False, True).

lw.rules.Gamma(-1) → ValueError: Gamma.gamma must lie in [0.0, 1000.0], got -1.
lw.rules.Epsilon(-1e-6) → ValueError: Epsilon.epsilon must be at least 0.0, got -1e-06.
lw.rules.Epsilon(0.1, "yes") → TypeError: Epsilon.relative must be True or False, got 'yes'.
lw.rules.AlphaBeta(0.5) → ValueError: AlphaBeta.alpha must lie in [1.0, 10.0], got 0.5.
lw.alpha_beta(alpha=11) → ValueError: alpha_beta.alpha must lie in [1.0, 10.0], got 11.
lw.alpha_beta(input="zb") → ValueError: alpha_beta.input must be one of None, 'zB', 'w2', 'z+', 'flat', 'epsilon', got
    'zb'.
lw.epsilon(max_pooling="max") → ValueError: epsilon.max_pooling must be one of 'winner-take-all', 'proportional', got
    'max'.
lw.Depth(-1) → ValueError: Depth.start must lie in [0.0, 1.0], got -1.
lw.Depth(0.5, 0.2) → ValueError: Depth.start must be at most Depth.stop, got 0.5 and 0.2.
lw.rules.ZBox(1, 2) → ValueError: ZBox.low must be at most 0 (the box must hold 0), got 1.0.
lw.rules.ZBox(-2, -1) → ValueError: ZBox.high must be at least 0 (the box must hold 0), got -1.0.
lw.rules.ZBox(0, 0) → ValueError: ZBox.low must be below ZBox.high, got 0.0 and 0.0.
lw.rules.ZBox((0, 0), (1, 0)) → ValueError: ZBox.low must be below ZBox.high, got (0.0, 0.0) and (1.0, 0.0).
lw.rules.ZBox((0, 0), (1, 1, 1)) → ValueError: ZBox.low and ZBox.high must be of one length, got 2 and 3.
lw.rules.ZBox(()) → ValueError: ZBox.low must be finite, one number or one per channel, got ().
lw.rules.ZBox(0, inf) → ValueError: ZBox.high must be finite, one number or one per channel, got inf.
lw.rules.ZBox(None) → TypeError: ZBox.low must be a number or one number per channel, got None.
lw.rules.ZBox(False) → TypeError: ZBox.low must be a number or one number per channel, got False.
lw.rules.ZBox((0, "a")) → TypeError: ZBox.low must be a number or one number per channel, got (0, 'a').
lw.epsilon_gamma_box(1, 2) → ValueError: epsilon_gamma_box.low must be at most 0 (the box must hold 0), got 1.0.
lw.epsilon(low="a") → TypeError: epsilon.low must be a number or one number per channel, got 'a'.
lw.Entry(lw.rules.Zero) → TypeError: Entry.rule must be a rule such as lw.rules.Epsilon(), got <class
    'lrp_widgets.engine.rules.zero_epsilon.Zero'>.
lw.Entry(lw.rules.Zero(), 3) → TypeError: Entry.where must be a name, a pattern or a Depth, got 3.
lw.Composite(lw.rules.Zero()) → TypeError: Composite.entries must be a list of Entry(rule, where), got Zero().
lw.Composite("any") → TypeError: Composite.entries must be a list of Entry(rule, where), got 'any'.
lw.Composite([lw.rules.Zero()]) → TypeError: Composite.entries must hold Entry(rule, where), got Zero().
lw.LRP(lw.rules.Zero()) → TypeError: LRP.composite must be a composite such as lw.epsilon(), got Zero().
lw.contrast(1, 1) → ValueError: contrast(a, b) needs two different classes, got 1 twice.
lw.Explainer(print) → TypeError: Explainer needs a torch.nn.Module, got builtin_function_or_method. Wrap a function in a
    Module.
lw.Explainer(Net) → TypeError: Explainer needs a torch.nn.Module, got the class Net. Make a network of it first.

explain(method="LRP") → TypeError: method must be a method such as lw.LRP(lw.epsilon()), got 'LRP'.
explain(method=lw.rules.Zero()) → TypeError: method must be a method such as lw.LRP(lw.epsilon()), got Zero().
explain(method=lw.LRP) → TypeError: method must be a method such as lw.LRP(lw.epsilon()), got <class
    'lrp_widgets.engine.propagation.lrp.LRP'>.
explain(method=lw.LRP(composed("features.*", "any"))) → ValueError: Entry(Zero(), 'features.*') matches no layer. Layers
    that take a rule: fc, out.
explain(method=lw.LRP(composed("fc"))) → ValueError: The composite has no rule for 'out'. End it with Entry(rule,
    "any"). Layers that take a rule: fc, out.
explain(method=lw.LRP(lw.epsilon_gamma_box((0, 0, 0)))) → ValueError: ZBox.low must be one number or one per channel; it
    has 3 and the layer 'fc' sees 4 channels. Give 4 values, or one.
explain().layer("conv") → KeyError: No recorded layer is called 'conv'. The recorded ones are: fc, relu, out.
explain(method=lw.Gradient()).layer("fc") → KeyError: Gradient does not propagate through layers: it has no map of 'fc'.
    Explain with lw.LRP(…) for one.
explain(model=Net(lambda s: torch.tensor(s.tolist()))) → RecordingError: The output of Net does not depend on the input
    by any operation that torch dispatches (it left torch, for instance through .numpy() or .item()). Keep the
    computation in torch.
explain(model=Net(lambda s: torch.tensor(s.tolist())), method=lw.Gradient()) → RecordingError: The output of Net has no
    gradient with respect to the input (it left torch, for instance through .numpy() or .item()). Keep the computation
    in torch.
lw.explore(Net(), "x") → TypeError: explore() needs lw.Samples or a tensor of inputs, got str.
lw.explore(Net(), X.int()) → TypeError: Samples.inputs must be a floating-point tensor, got torch.int32. Convert it with
    .float().
lw.explore("net", X) → TypeError: Explainer needs a torch.nn.Module, got str. Wrap a function in a Module.

lw.Samples("x") → TypeError: Samples.inputs must be a floating-point tensor, got str. Make one with torch.as_tensor(…).
lw.Samples(X + 1j) → TypeError: Samples.inputs must be a floating-point tensor, got torch.complex64. Take its real part.
lw.Samples(X[:0]) → ValueError: Samples.inputs must have a batch dimension and at least one row, got shape (0, 4).
lw.Samples(X[0]) → ValueError: Samples.inputs must have a batch dimension and at least one row, got shape (4,).
lw.Samples(X, [0, 1, 1]) → ValueError: Samples.labels must hold one class index per input (2), got (3,).
lw.Samples(X, [0, "one"]) → TypeError: Samples.labels must hold one class index per input (2), got [0, 'one'].
lw.Samples(X, [0.5, 1]) → TypeError: Samples.labels must hold one class index per input (2), got torch.float32. Convert
    them with .long().
lw.Samples(X, [0, -2]) → ValueError: Samples.labels must hold one class index per input (2), or -1 where it is not
    known, got -2.
lw.Samples(X, classes=5) → TypeError: Samples.classes must be the class names in the order of the outputs, got 5.
lw.Samples(X, low=1, high=0) → ValueError: Samples.low must be below Samples.high, got 1.0 and 0.0.
lw.Samples(X, low=(0, 0, 0)) → ValueError: Samples.low must be one number or one per channel (4), got 3.
lw.Samples(X, high=inf) → ValueError: Samples.high must be finite, got inf.
lw.Samples(X, low=None) → TypeError: Samples.low must be a number or one number per channel, got None.
""")
def test_message(expression: str, said: str) -> None:
    assert error_of(lambda: eval(expression)) == said


class Net(nn.Module):
    """Four features to two classes; `answer` makes something else of the scores."""

    def __init__(self, answer: Callable[[Tensor], Any] = lambda scores: scores) -> None:
        super().__init__()
        self.fc, self.out, self.answer = nn.Linear(4, 3), nn.Linear(3, 2), answer
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.answer(self.out(self.fc(x).relu()))


def torn(scores: Tensor) -> Tensor:
    raise RuntimeError("out of ink")


def dropped(scores: Tensor) -> Tensor:
    return nn.functional.dropout(scores)  # whatever the mode of the model


def both(scores: Tensor) -> dict[str, Any]:
    return {"logits": scores, "hidden": 2 * scores, "loss": None, "parts": [scores]}


X = torch.tensor([[1.0, 0.5, -1.0, 2.0], [0.0, 1.0, 1.0, -2.0]])


def composed(*places: str) -> lw.Composite:
    return lw.Composite([lw.Entry(lw.rules.Zero(), place) for place in places])


def spoilt(value: float) -> Net:
    model = Net()
    with torch.no_grad():
        model.out.weight[1, 2] = value
    return model


def explain(
    x: Any = X, target: Any = None, model: nn.Module | None = None, output: Any = None, method: Any = None
) -> lw.Explanation:
    return lw.Explainer(Net() if model is None else model, output).explain(x, target, method)


# Whatever they are asked, these say the same; Grad-CAM needs maps first.
ANYWHERE = [kind() for kind in (*METHODS, *WRAPPERS) if not issubclass(kind, lw.GradCAM)]


@table("""
x=X.numpy() → TypeError: The input must be a torch.Tensor, got ndarray. Convert it with torch.as_tensor(…).
x=X.long() → TypeError: The input must be floating point, got torch.int64. Convert it with .float().
x=X + 1j → TypeError: The input must be real, got torch.complex64. Relevance of complex numbers is not defined.
x=X * nan → ValueError: The input must be finite, got 8 NaN or infinite values of 8.
x=X - torch.tensor([0, inf, 0, 0]) → ValueError: The input must be finite, got 2 NaN or infinite values of 8.
x=X[:0] → ValueError: The input must hold at least one row, got shape (0, 4).
target=2 → IndexError: target must lie in [0, 1], the model's outputs, got 2.
target=[0, -1] → IndexError: target must lie in [0, 1], the model's outputs, got -1.
target=lw.contrast(0, 5) → IndexError: target must lie in [0, 1], the model's outputs, got 5.
target=[0] → ValueError: target must name one class for each of the 2 rows, got 1.
target=torch.tensor([0, 1, 1]) → ValueError: target must name one class for each of the 2 rows, got 3.
target="a" → TypeError: target must be a class, one class a row, None or lw.contrast(a, b), got 'a'.
target=1.0 → TypeError: target must be a class, one class a row, None or lw.contrast(a, b), got 1.0.
target=True → TypeError: target must be a class, one class a row, None or lw.contrast(a, b), got True.
target=[0, None] → TypeError: target must be a whole number, got None.
target=torch.tensor([0.0, 1.0]) → TypeError: target must be a whole number, got 0.0.
target=lw.contrast("a", 1) → TypeError: target must be a whole number, got 'a'.
model=nn.Sequential(Net(), nn.Dropout()) → ValueError: The model must be in evaluation mode, got training mode in 1.
    Call model.eval() first.
model=nn.Sequential(*(nn.BatchNorm1d(4) for _ in range(4))) → ValueError: The model must be in evaluation mode, got
    training mode in 0, 1, 2, …. Call model.eval() first.
model=Net(dropped).train() → RecordingError: The model itself draws random numbers in training mode: no two runs would
    agree. Call model.eval() first.
model=Net(torn) → RecordingError: Net raised RuntimeError on an input of shape (2, 4): out of ink
model=nn.Sequential(Net(torn)).eval() → RecordingError: Sequential raised RuntimeError on an input of shape (2, 4): out
    of ink (The layer '0' raised it: Net.)
model=spoilt(nan) → ValueError: The weights 'out.weight' must be finite, got 1 NaN or infinite values. Load them again.
model=spoilt(-inf) → ValueError: The weights 'out.weight' must be finite, got 1 NaN or infinite values. Load them again.
model=Net(lambda s: s / 0) → ValueError: The model's scores must be finite, got NaN or infinity. Look for an overflow in
    its layers.
model=Net(both) → TypeError: The model returns a dict, not a tensor. Say which output to explain:
    output=…, one of 'logits', 'hidden'.
model=Net(lambda s: (s, None, s)) → TypeError: The model returns a tuple, not a tensor. Say which output to explain:
    output=…, one of 0, 2.
model=Net(lambda s: (None, None)) → TypeError: The model must return a tensor of scores, got a tuple. Wrap it in a
    Module that returns one.
model=Net(lambda s: None), output=0 → TypeError: The model must return a tensor of scores, got None. Wrap it in a Module
    that returns one.
model=Net(both), output="logit" → TypeError: output must be one of the model's outputs ('logits', 'hidden'), got
    'logit'.
model=Net(lambda s: [s, s]), output=2 → TypeError: output must be one of the model's outputs (0, 1), got 2.
model=Net(both), output="parts" → TypeError: output='parts' must be a tensor of scores, the model returns a list there.
    Choose one of 'logits', 'hidden'.
model=Net(lambda s: s.argmax(1)) → ValueError: The model must return floating-point scores, one row per input, got
    torch.int64 of shape (2,). Wrap it in a Module that does.
model=Net(torch.sum) → ValueError: The model must return floating-point scores, one row per input, got torch.float32 of
    shape (). Wrap it in a Module that does.
""")
@pytest.mark.parametrize("method", ANYWHERE, ids=lambda method: type(method).__name__)
def test_message_of_explaining(expression: str, said: str, method: Any) -> None:
    assert error_of(lambda: eval(f"explain(method=method, {expression})", globals(), {"method": method})) == said


@pytest.mark.parametrize("method", ANYWHERE, ids=lambda method: type(method).__name__)
def test_what_torch_says_of_shape_and_dtype_is_passed_on_with_a_remedy(method: Any) -> None:
    model = nn.Sequential(nn.Flatten(), Net())
    layer = "(The layer '1.fc' raised it: Linear(in_features=4, out_features=3, bias=True).)"
    dtype = "(The weights are torch.float32, the input is torch.float64: convert it with x.to(torch.float32).)"
    for x, remedy in ((torch.ones(1, 5), layer), (X.double(), dtype)):
        with pytest.raises(RuntimeError) as caught:
            model(x)
        said = f"Sequential raised RuntimeError on an input of shape {tuple(x.shape)}: {caught.value} {remedy}"
        assert error_of(partial(explain, x, model=model, method=method)) == f"RecordingError: {said}"


def flip(**changes: Any) -> lw.Curve:
    given = {"model": Net(), "x": X[:1], "heatmap": np.ones(4), "patch": 2}
    return lw.pixel_flipping(**given | changes)


picture = torch.linspace(0, 1, 24).reshape(1, 2, 3, 4)


@table("""
flip(model="net") → TypeError: pixel_flipping needs a torch.nn.Module, got str. Wrap a function in a Module.
flip(x=[[1.0]]) → TypeError: The input must be a torch.Tensor, got list. Convert it with torch.as_tensor(…).
flip(x=X) → ValueError: Pixel flipping takes one input with its batch dimension, got shape (2, 4). Take one with x[i : i
    + 1].
flip(x=picture, heatmap=np.ones((4, 3))) → ValueError: The heatmap must have one value a pixel (3 x 4), or the shape of
    the input (1, 2, 3, 4), got shape (4, 3).
flip(heatmap=np.full(4, nan)) → ValueError: The heatmap must be finite, got NaN or infinite values.
flip(heatmap=None) → TypeError: The heatmap must be an array or a tensor of real numbers, got NoneType.
flip(heatmap=np.ones(4) * 1j) → TypeError: The heatmap must be an array or a tensor of real numbers, got
    torch.complex128.
flip(patch=0) → ValueError: patch must be a whole number, at least 1, got 0.
flip(batch=1.5) → ValueError: batch must be a whole number, at least 1, got 1.5.
flip(steps=True) → ValueError: steps must be a whole number, at least 1, got True.
flip(seed=-1) → ValueError: seed must be a whole number, at least 0, got -1.
flip(order="best") → ValueError: order must be one of 'most', 'least', 'random', got 'best'.
flip(unit=None) → ValueError: unit must be one of 'logit', 'probability', got None.
flip(x=picture, heatmap=picture, baseline=(0, 0, 0)) → ValueError: pixel_flipping.baseline must be one number or one per
    channel (2), got 3.
flip(baseline=nan) → ValueError: pixel_flipping.baseline must be finite, one number or one per channel, got nan.
flip(baseline="black") → TypeError: pixel_flipping.baseline must be a number or one number per channel, got 'black'.
flip(target=2) → IndexError: target must lie in [0, 1], the model's outputs, got 2.
flip(model=nn.Sequential(Net(), nn.Dropout())) → ValueError: The model must be in evaluation mode, got training mode in
    1. Call model.eval() first.
flip(model=Net(dropped).train()) → RecordingError: The model itself draws random numbers in training mode: no two runs
    would agree. Call model.eval() first.
flip(model=Net(torn)) → RecordingError: Net raised RuntimeError on an input of shape (1, 4): out of ink
flip(model=Net(both)) → TypeError: The model returns a dict, not a tensor. Say which output to explain: output=…, one
    of 'logits', 'hidden'.
flip(model=spoilt(nan)) → ValueError: The weights 'out.weight' must be finite, got 1 NaN or infinite values. Load them
    again.
lw.evaluation.random_flipping(Net(), X[:1], seeds=0) → ValueError: seeds must be a whole number, at least 1, got 0.
lw.evaluation.random_flipping(Net(), "x") → TypeError: The input must be a torch.Tensor, got str. Convert it with
    torch.as_tensor(…).
next(lw.evaluation.stream_flipping(Net(), X[0], X[0])) → ValueError: Pixel flipping takes one input with its batch
    dimension, got shape (4,). Take one with x[i : i + 1].
""")
def test_message_of_pixel_flipping(expression: str, said: str) -> None:
    assert error_of(lambda: eval(expression)) == said
