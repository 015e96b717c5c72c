from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, fields, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lrp_widgets as lw
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.apps.sharing.encoding import CLASSES, StateError
from lrp_widgets.apps.sharing.link import from_query, to_query
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.rules import RULES, Rule, ZBox
from lrp_widgets.methods import METHODS, WRAPPERS
from lrp_widgets.params import param, params_of

SAMPLES = lw.Samples(torch.zeros(5, 1, 28, 28), classes=[str(n) for n in range(10)])
LOOK = {"colormap": "grey", "opacity": 0.35, "pixelated": False, "locked": [0.5, 2.0], "scale": None}
INK = bytes(range(256)) * 3 + bytes(16)


@dataclass(frozen=True)
class Upload:
    """A frozen picture from a file."""

    data: bytes
    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self):
        if len(self.data) > 100:
            raise ValueError(f"Upload.data must have at most 100 bytes, got {len(self.data)}.")


@dataclass(frozen=True)
class Half(Rule):
    share: float = param(0.5, low=0, high=1)


ENTRIES = (
    lw.Entry(ZBox((-1.5, -1 / 3, 0.0), 1.0), "input"),
    lw.Entry(lw.rules.Epsilon(1e-9, relative=True), lw.Depth(0.1, 1 / 3)),
    lw.Entry(lw.rules.Gamma(0.1 + 0.2), "features.*"),
    lw.Entry(lw.rules.Zero()),
)
METHODS_TRIED = [
    *(lw.LRP(preset()) for preset in PRESETS),
    *(method() for method in (*METHODS, *WRAPPERS)),
    *(lw.LRP(lw.Composite([lw.Entry(rule())])) for rule in RULES),
    lw.LRP(lw.Composite(ENTRIES, max_pooling="proportional")),
    lw.LRP(lw.layered(alpha=2.35, epsilon=3e-7, split=(0.1, 1 / 3), input="zB", low=(-1, -2.5), high=(0.5, 1e9))),
    lw.LRP(lw.by_depth(lower=lw.rules.AlphaBeta(1.7), overrides=(lw.Entry(lw.rules.Flat(), "fc"),))),
    lw.LRP(lw.epsilon(), (lw.Filter("features.3", (1, 5), ((0.0, 0.1), (1.0, 0.0), (0.5, 1 / 3)), block=True),)),
    lw.Smoothed(lw.Translated(lw.LRP(lw.alpha_beta(alpha=1.1)), shift=2, border="edge"), samples=3, noise=0.07),
    lw.Occlusion(patch=4, stride=2, value=-0.25),
    lw.GradCAM("features.3", rectify=False),
]


def through(settings: Settings, more=(), look=LOOK) -> tuple[Settings, dict]:
    text = json.dumps(to_state(settings, look, more), allow_nan=False)
    return from_state(json.loads(text), Settings, SAMPLES, more)


@pytest.mark.parametrize("method", METHODS_TRIED, ids=lambda method: repr(method)[:70])
def test_every_method_comes_back(method):
    settings = Settings(3, method, 4, "features.0")
    back, look = through(settings)
    assert back == settings and repr(back) == repr(settings) and look == LOOK
    assert from_state(from_query(to_query(to_state(settings, LOOK))), Settings, SAMPLES) == (back, look)


def test_the_methods_tried_are_all_there_are():
    assert {*METHODS, *WRAPPERS, *PRESETS, *RULES} <= set(CLASSES)
    assert {type(method) for method in METHODS_TRIED} == {*METHODS, *WRAPPERS}


@pytest.mark.parametrize(
    "changes",
    [{"sample": INK}, {"target": lw.contrast(7, 2)}, {"target": None}, {"target": 0}, {"layer": "features.3"}],
)
def test_everything_else_comes_back(changes):
    settings = replace(Settings(0, lw.LRP()), **changes)
    back, _ = through(settings)
    assert back == settings and type(back.sample) is type(settings.sample)


def test_an_upload_and_a_rule_of_one_s_own():
    settings = Settings(Upload(b"\0\1\xff", (1, 3)), lw.LRP(lw.Composite([lw.Entry(Half(0.25))])))
    more = (Upload, Half)
    assert through(settings, more)[0] == settings
    with pytest.raises(StateError) as error:
        to_state(settings)
    assert str(error.value) == "State.sample cannot be written: Upload is not of this package. Pass its class, " + (
        "more=(Upload,)."
    )
    with pytest.raises(StateError) as error:
        from_state(to_state(settings, more=more), Settings, SAMPLES, more=[Upload])
    assert str(error.value) == (
        "State.method.LRP.composite.Composite.entries[0].Entry.rule names 'Half', which is not known here. "
        "Pass its class, more=(…,)."
    )


@given(st.floats(1, 10, allow_nan=False))
def test_floats_come_back_to_the_last_bit(alpha):
    settings = Settings(0, lw.LRP(lw.alpha_beta(alpha=alpha)))
    back = from_state(to_query(to_state(settings)), Settings, SAMPLES)[0]
    assert back.method.composite.alpha.hex() == alpha.hex()


def test_a_state_is_plain_and_whole():
    state = to_state(Settings(2, lw.LRP(lw.alpha_beta(alpha=1.5)), lw.contrast(1, 2)), {"opacity": 0.5})
    assert state == {
        "lrp_widgets": 1,
        "sample": 2,
        "method": {
            "LRP": {
                "composite": {
                    "alpha_beta": {
                        **{field.name: field.default for field in fields(lw.alpha_beta) if field.init},
                        "alpha": 1.5,
                    }
                },
                "filters": [],
            }
        },
        "target": {"Contrast": {"a": 1, "b": 2}},
        "layer": "",
        "channel": -1,
        "trail": [],
        "pins": [],
        "look": {"opacity": 0.5},
    }


def test_what_is_left_out_is_at_its_default():
    state = {"lrp_widgets": 1, "sample": 1, "method": {"LRP": {"composite": {"epsilon": {"epsilon": 0.5}}}}}
    assert from_state(state, Settings, SAMPLES) == (Settings(1, lw.LRP(lw.epsilon(epsilon=0.5))), {})


def test_two_classes_of_one_name():
    epsilon = type("Epsilon", (Rule,), {})
    with pytest.raises(StateError) as error:
        to_state(Settings(0, lw.LRP()), more=[epsilon])
    assert str(error.value) == "Two classes are called 'Epsilon'. Rename yours: a state knows them by name."
    with pytest.raises(StateError, match="Epsilon is not of this package"):
        to_state(Settings(0, lw.LRP(lw.Composite([lw.Entry(epsilon())]))))


def state(**changes) -> dict:
    return to_state(Settings(0, lw.LRP(lw.alpha_beta()))) | changes


def lrp(**composite) -> dict:
    return {"LRP": {"composite": composite}}


def contrast(a, b) -> dict:
    return {"Contrast": {"a": a, "b": b}}


ROWS = """
[] → A state must be a table of fields, got [].
state(lrp_widgets=2) → State.lrp_widgets must be 1, the version that is read here, got 2. Is this a state, and of this
    version of lrp_widgets?
{} → State.lrp_widgets must be 1, the version that is read here, got None. Is this a state, and of this version of
    lrp_widgets?
{"lrp_widgets": 1} → State.sample is missing.
state(colour=1) → State.colour is not known. Known are channel, layer, method, pins, sample, target, trail and look.
state(sample=5) → State.sample must lie in [0, 4], the samples there are, got 5.
state(sample=True) → State.sample must be the number of a sample or an input, got True.
state(sample={"Zero": {}}) → State.sample must be the number of a sample or an input, got Zero().
state(sample={"bytes": "AAA="}) → State.sample must be a drawing of 784 bytes, for a model of digits, got 2.
state(sample={"bytes": "?"}) → State.sample must be bytes in base64, got '?'.
state(sample={"bytes": 3}) → State.sample must be bytes in base64, got 3.
state(target=10) → State.target must lie in [0, 9], the classes there are, got 10.
state(target=-1) → State.target must be the number of a class, got -1.
state(target="3") → State.target must be the number of a class, got '3'.
state(target=contrast(1, 1)) → State.target.Contrast: contrast(a, b) needs two different classes, got 1 twice.
state(target=contrast(1, "2")) → State.target.Contrast.b must be the number of a class, got '2'.
state(target=contrast(1, 12)) → State.target must lie in [0, 9], the classes there are, got 12.
state(layer=3) → State.layer must be the name of a layer, got 3.
state(method="LRP") → State.method must be a method such as LRP, got 'LRP'.
state(method={"Zero": {}}) → State.method must be a method such as LRP, got Zero().
state(method={"os.system": {"command": "ls"}}) → State.method names 'os.system', which is not known here. Pass its
    class, more=(…,).
state(method={"LRP": [1]}) → State.method.LRP must be a table of fields, got [1].
state(method={"LRP": {}, "Gradient": {}}) → State.method must be a value or one class with its fields, got {'LRP': {},
    'Gradient': {}}.
state(method=lrp(Zero={})) → State.method.LRP: LRP.composite must be a composite such as lw.epsilon(), got Zero().
state(method=lrp(alpha_beta={"alpha": 99})) → State.method.LRP.composite.alpha_beta: alpha_beta.alpha must lie in
    [1.0, 10.0], got 99.
state(method=lrp(alpha_beta={"beta": 1})) → State.method.LRP.composite.alpha_beta.beta is not known. Known are:
    max_pooling, product, attention, input, low, high, alpha.
state(method=lrp(epsilon={"entries": []})) → State.method.LRP.composite.epsilon.entries is not known. Known are:
    max_pooling, product, attention, input, low, high, epsilon, relative.
state(method=lrp(Composite={"entries": [{"Entry": {}}]})) → State.method.LRP.composite.Composite.entries[0].Entry.rule
    is missing.
state(look=[1]) → State.look must be a table of numbers, texts and lists of them, got [1].
state(look={"a": {}}) → State.look must be a table of numbers, texts and lists of them, got {'a': {}}.
"{" → The state is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1).
'{"lrp_widgets": 1, "sample": NaN}' → The numbers of a state must be finite, got NaN.
"[[[[" → The state of this link cannot be read: a part of it is missing. Copy it again.
"?theme=dark" → A link to a state has ?state=…, got '?theme=dark'.
"" → The state of a link must be whole and at most 4194304 bytes. Copy the link again.
"ü" → The state of this link cannot be read: a part of it is missing. Copy it again.
"A" * 8001 → A link may have 8000 characters, got 8001.
"""


@pytest.mark.parametrize("row", ROWS.replace("\n    ", " ").split("\n")[1:-1])
def test_what_cannot_be_read_is_told_by_field(row):
    expression, said = row.split(" → ")
    with pytest.raises(StateError) as error:
        from_state(eval(expression), Settings, SAMPLES)
    assert str(error.value) == said


def test_numbers_too_large_are_refused():
    text = json.dumps(state(method=lrp(epsilon={"epsilon": 0.5}))).replace("0.5", "1e999")
    with pytest.raises(StateError, match=r"epsilon must be a value or one class with its fields, got inf"):
        from_state(text, Settings, SAMPLES)
    with pytest.raises(StateError, match="The state is not JSON: Exceeds the limit"):
        from_state(text.replace("1e999", "9" * 5000), Settings, SAMPLES)
    with pytest.raises(StateError, match=r"State\.look\.opacity must be a finite number, got nan\."):
        to_state(Settings(0, lw.LRP()), {"opacity": float("nan")})


def test_a_state_may_not_be_nested_without_end():
    deep = {"Gradient": {}}
    for _ in range(40):
        deep = {"Smoothed": {"method": deep}}
    with pytest.raises(StateError, match="is nested too deeply: more than 16 values within each other"):
        from_state(state(method=deep), Settings, SAMPLES)
    with pytest.raises(StateError, match="The state is not JSON: it is nested too deeply"):
        from_state('{"a":' * 100_000, Settings, SAMPLES)


def test_a_broken_state_says_so_and_nothing_else_happens():
    """Anything changed anywhere: either settings that can be, or a StateError."""
    rng, whole = random.Random(3), to_state(Settings(INK, METHODS_TRIED[-4], lw.contrast(1, 2)), LOOK)
    junk = [
        None,
        -1,
        1.5,
        10**30,
        "x",
        "",
        True,
        [],
        {},
        [[]],
        {"bytes": "AAAA"},
        {"LRP": {}},
        {"Zero": 1},
        {"a": 1, "b": 2},
    ]
    read = 0
    for _ in range(400):
        broken = copy.deepcopy(whole)
        place, key = broken, rng.choice(list(broken))
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
            place = place[key]
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        place[key] = rng.choice(junk)
        try:
            settings, _ = from_state(broken, Settings, SAMPLES)
        except StateError as error:
            assert "__init__" not in str(error)
        else:
            read += 1
            assert all(known.check(type(settings.method).__name__, getattr(settings.method, known.name)) is None
                       for known in params_of(settings.method))  # fmt: skip
            hash(settings)
    assert 0 < read < 300
