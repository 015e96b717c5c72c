"""The guard on what the browser sends, and the modules as they are handed to it."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import traitlets

from lrp_widgets.widgets.browser import STATIC, BrowserWidget, Finite, as_bytes, as_number, module, style, to_uint8

TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js")}
MODULES = sorted(name for name, text in TEXTS.items() if "export default" in text)  # one a widget; the rest is shared


class Dial(BrowserWidget):
    _esm = "export default {}"

    angle = Finite(0.0, min=-180, max=180).tag(sync=True, from_browser=True)
    turns = traitlets.Int(0).tag(sync=True, from_browser=True)
    reading = traitlets.Unicode("north").tag(sync=True)


@pytest.fixture
def dial():
    return Dial()


@pytest.fixture
def sent(dial, monkeypatch):
    messages = []
    monkeypatch.setattr(dial, "_send", lambda message, buffers=None: messages.append(message["state"]))
    return messages


def test_a_good_message_is_taken_and_not_sent_back(dial, sent):
    dial.set_state({"angle": 90.0, "turns": 2})
    assert (dial.angle, dial.turns, dial.problem, sent) == (90.0, 2, "", [])


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"reading": "south"}, "Dial.reading cannot be set from the browser."),
        ({"layout": None}, "Dial.layout cannot be set from the browser."),
        ({"_esm": "alert(1)"}, "Dial._esm cannot be set from the browser."),
        ({"nothing": 1}, "Dial.nothing cannot be set from the browser."),
        ({"angle": float("nan")}, "Dial.angle must be a finite number, got nan."),
        ({"turns": "two"}, "The 'turns' trait of a Dial instance expected an int, not the str 'two'."),
        (
            {"angle": 400.0},
            "The value of the 'angle' trait of a Dial instance should not be greater than 180, "
            "but a value of 400.0 was specified",
        ),
    ],
)
def test_a_refused_message_is_reported(dial, message, problem):
    dial.set_state(message)
    assert dial.problem == problem
    assert (dial.angle, dial.turns, dial.reading) == (0.0, 0, "north")


def test_one_bad_value_refuses_the_message_and_restores_the_browser(dial, sent):
    dial.set_state({"turns": 1, "angle": 400.0, "reading": "south"})
    assert (dial.angle, dial.turns) == (0.0, 0)
    assert sent == [{"turns": 0, "angle": 0.0}]


def test_a_good_message_clears_the_problem(dial):
    dial.set_state({"angle": 400.0})
    dial.set_state({"angle": 40.0})
    assert dial.problem == ""


def test_what_an_observer_corrects_is_sent(dial, sent):
    dial.observe(lambda change: setattr(dial, "angle", round(change["new"])), "angle")
    dial.set_state({"angle": 12.4})
    assert sent == [{"angle": 12.0}]


def test_one_message(dial, sent):
    with dial.one_message():
        dial.angle, dial.turns, dial.reading = 1.0, 1, "east"
    assert sent == [{"angle": 1.0, "turns": 1, "reading": "east"}]


def test_one_message_from_two_threads_and_the_browser(dial):
    failures = []

    def show(reading: str) -> None:
        try:
            for turn in range(300):
                with dial.one_message():
                    dial.reading, dial.turns = f"{reading}{turn}", turn
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=show, args=(name,)) for name in ("east", "west")]
    for thread in threads:
        thread.start()
    for turn in range(300):
        dial.set_state({"angle": turn / 2, "turns": turn})
    for thread in threads:
        thread.join()
    assert failures == []


def test_as_bytes():
    assert as_bytes(memoryview(b"ab"), None) == b"ab"
    assert as_bytes(10**12, None) == 10**12  # bytes() of it would fill the memory


def test_as_number():
    assert as_number(np.float32(0.5)) == 0.5
    assert as_number(float("inf")) is None and as_number(float("nan")) is None


def test_to_uint8():
    assert to_uint8("X.image", np.array([0.0, 0.5, 1.0005])).tolist() == [0, 128, 255]
    assert to_uint8("X.image", np.array([7], np.uint8)).tolist() == [7]
    with pytest.raises(ValueError, match=re.escape("X.image must lie in [0, 1], got [-2, 1]. Rescale it")):
        to_uint8("X.image", np.array([-2.0, 1.0]))
    with pytest.raises(ValueError, match=re.escape("X.image must lie in [0, 1], got [nan, nan].")):
        to_uint8("X.image", np.array([np.nan, 1.0]))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_stands_alone(name):
    text = module(name)
    assert "import {" not in text and "://" not in text
    assert text.count("export ") == 1 and "export default { render };" in text
    assert not re.search(r"\.id\b|getElementById", text)
    assert "url(" not in style(name) and "@import" not in style(name)


def test_every_static_file_is_used():
    imported = {file for text in TEXTS.values() for file in re.findall(r'from "[./]*/(?:\w+/)?(\w+)\.js"', text)}
    assert imported | set(MODULES) == TEXTS.keys()
    assert {path.stem for path in STATIC.rglob("*.css")} == {*MODULES, "theme"}


@pytest.mark.parametrize("percent", [50, 90, 99.3, 100])
def test_percentile_is_numpy_s(node, percent):
    values = np.random.default_rng(0).normal(size=400).astype("<f4") ** 3
    values[:40] = 0
    got = node(
        "raster",
        "percentileOf(readRaster(new DataView(Float32Array.from(given.values).buffer), [20, 20]), given.percent)",
        {"values": values.tolist(), "percent": percent},
    )
    assert got == pytest.approx(np.percentile(np.abs(values), percent), rel=1e-6)


def test_a_raster_leaves_out_what_is_not_finite(node):
    expression = (
        "(() => { const raster = readRaster(new DataView(Float32Array.of(1, NaN, -3, Infinity, 0, 2).buffer), [2, 3]);"
        "return [raster.largest, raster.sum, raster.broken, percentileOf(raster, 50), countBeyond(raster, 1.5)]; })()"
    )
    assert node("raster", expression) == [3, 0, 2, 1.5, 3]  # an infinite number lies beyond every limit


@pytest.mark.parametrize(
    ("largest", "value", "text"),
    [
        (7.5, 7.4213, "7.421"),
        (7.5, -0.00001, "0.000"),
        (0.0123, -0.0123, "−0.01230"),
        (250000.0, 1234.56, "1235"),
        (3e7, -2.5e7, "−2.50e7"),
        (2e-6, 1.5e-6, "1.50e−6"),
        (1.0, None, "not finite"),
    ],
)
def test_numbers_of_a_column_are_written_alike(node, largest, value, text):
    assert node("numbers", "formatter(given[0])(given[1])", [largest, value]) == text


def test_a_column_stands_on_its_decimal_points(node):
    column = [12.4, -0.0712345, None, 1234.4, 3.2e-7, 0]
    texts = node("numbers", "aligned([...given, undefined])", column)
    assert [text.rstrip("\u2007\u2008") for text in texts] == [
        "12.40", "−0.07123", "not finite", "1234", "3.20e−7", "0.000", "–",
    ]  # fmt: skip
    behind = [len(text) - (text.index(".") if "." in text else text.index("\u2008")) for text in texts]
    assert set(behind) == {6}


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("R_j = Σ_k a_jw", ["R", "_j", " = Σ", "_k", " a", "_jw"]),
        ("R_{j<-k} (a_j w_jk)⁺", ["R", "_j←k", " (a", "_j", " w", "_jk", ")⁺"]),
        ("<b>x_i</b>", ["<b>x", "_i", "</b>"]),
        ("a_ b_1", ["a", " b", "1"]),
        ("", []),
    ],
)
def test_subscripts(node, formula, parts):
    assert node("typeset", 'partsOf(given).map(({ text, below }) => (below ? "_" : "") + text)', formula) == parts


def compared(node, one, other):
    expression = (
        "(() => { const [one, other] = given.map((rows) => {"
        "const values = Float32Array.from(rows.flat(), (value) => value ?? NaN);"
        "const sum = values.filter(Number.isFinite).reduce((all, value) => all + value, 0);"
        "return { values, sum, height: rows.length, width: rows[0].length }; });"
        "const change = difference(one, other);"
        "return { ...likeness(one, other), change: change && [...change.values], largest: change?.largest }; })()"
    )
    return node("alike", expression, [one, other])


def test_how_alike_two_maps_are(node):
    one, other = np.random.default_rng(1).normal(size=(2, 4, 5)).astype("<f4")
    got = compared(node, one.tolist(), other.tolist())
    a, b = one.ravel(), other.ravel()
    assert got["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
    assert got["pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert got["sum"] == pytest.approx(float(a.sum() - b.sum()), abs=1e-5)
    assert np.allclose(got["change"], a - b) and got["largest"] == pytest.approx(np.abs(a - b).max())


@pytest.mark.parametrize(
    ("one", "other", "cosine", "pearson"),
    [
        ([[1, 2, 3]], [[2, 4, 6]], 1, 1),
        ([[1, 2, None]], [[2, 1, 9]], 0.8, -1),  # what is not finite is left out
        ([[1, 1, 1]], [[1, 2, 4]], 7 / 63**0.5, None),
        ([[0, 0]], [[1, 2]], None, None),
        ([[1, 2]], [[1], [2]], None, None),
    ],
)
def test_likeness_of_odd_maps(node, one, other, cosine, pearson):
    got = compared(node, one, other)
    assert got["cosine"] == (cosine if cosine is None else pytest.approx(cosine))
    assert got["pearson"] == (pearson if pearson is None else pytest.approx(pearson))


def ink(draw) -> list[int]:
    pad = np.zeros((280, 280), np.uint8)
    draw(pad)
    return pad.flatten().tolist()


def digit_of(node, pad: list[int]) -> np.ndarray:
    return np.array(node("mnist", "Array.from(centred(Uint8Array.from(given), 280))", pad)).reshape(28, 28)


@pytest.mark.parametrize("corner", [(0, 0), (37, 91), (160, 200)])
def test_a_digit_is_scaled_to_20_and_centred(node, corner):
    def draw(pad):
        pad[corner[0] : corner[0] + 100, corner[1] : corner[1] + 50] = 255

    digit = digit_of(node, ink(draw))
    expected = np.zeros((28, 28), int)
    expected[4:24, 9:19] = 255
    assert np.array_equal(digit, expected)


def test_the_centre_of_mass_comes_to_the_middle(node):
    def draw(pad):
        pad[20:260, 40:70] = 255
        pad[20:60, 40:180] = 255

    digit = digit_of(node, ink(draw))
    rows, columns = np.indices(digit.shape) + 0.5
    assert (rows * digit).sum() / digit.sum() == pytest.approx(14, abs=0.05)
    assert (columns * digit).sum() / digit.sum() == pytest.approx(14, abs=0.05)


def test_ink_is_kept_within_the_picture(node):
    def draw(pad):
        pad[:120, :120] = 255  # heavy at one end,
        pad[115:120, :280] = 255  # with a long thin tail

    pad = ink(draw)
    digit = digit_of(node, pad)
    scale = 20 / 280
    assert digit.sum() == pytest.approx(sum(pad) * scale**2, rel=0.01)


def test_no_ink_is_no_digit(node):
    assert not digit_of(node, ink(lambda pad: None)).any()
