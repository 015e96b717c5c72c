"""Links open what was shown when they were made, also those of an earlier version, and nothing broken or too large."""

from __future__ import annotations

import base64
import random
import re
import zlib

import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.session.settings import PARTS, Given, Morph, Pixel, Settings
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.link import MAX_LINK_LENGTH, MAX_SIZE, from_query, from_text, to_query
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.engine.analysis.neuron import Neuron

SAMPLES = lw.Samples(torch.zeros(5, 1, 28, 28), classes=[str(n) for n in range(10)])
LOOK = {"colormap": "grey", "opacity": 0.35, "pixelated": False, "locked": [0.5, 2.0], "scale": None}


def test_links():
    settings = Settings(1, lw.LRP(lw.layered(alpha=2.35)), 3)
    query = to_query(to_state(settings, LOOK))
    assert set(query) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") and len(query) < 600
    for link in (query, f"?state={query}", f"?theme=dark&state={query}&a=1", f"https://a.org/b?state={query}#c"):
        assert from_state(link, Settings, SAMPLES) == (settings, LOOK)
    for cut in (query[:-9], query[9:], query[:40] + query[44:]):
        with pytest.raises(StateError, match=r"cannot be read|be whole"):
            from_query(cut)


# Made by version 0.1.0. Whatever is renamed, this link and others of its time open what they opened then.
FIRST_LINK = (
    "eNrtWM1uEzEQfpWVz9vVbtIqVSQOLVAugCrKiSiK3Oxk16pjW_Zs0lDlygNw4YF4E56EGW9CAko5II7-FGVnvZ6_b8Y-"
    "zJPQ3s3Wqm4AgxhXuQhy6TSI8ZN4Z71rWQgoPbLwRq3AsLCSuoPA0v0GWRBXCQkJCQkJCQkJCQkJCQkJCf-"
    "EFy_ENhehlQ7EeFLlVT64pN80FzVueE0stJU4HAgeXKiaFmrVKCycacbZ4DL7_o3-86zxsMl-fPmaoXwAk8mQKcxUEFu2jtaJ8Xl048lkWQwue"
    "H0J2NqaZxxvP9zyY26XzgaF0M89ZjU4jPORpXycOWu1Mg0FsFbGgD9jT2dSa4rMeVt3c6RvQTVG8pJEBIPKGh6dIBp2kQtlXMfbPl_Ti7ZrDqb"
    "MRasa8lOxSIvg2eeVdq28BpT8IvmFd4xi4Kqu-"
    "wnOaxeUtnFiA3uR08uFBy1RrWgX-g5Yq3Out_wJvKVnpMZpRfFMyuI8L4vRBfFuV-C9qnnmMyEHBv2GlXzXe7whszvldQs-VmjONJ_Yezq6sqx"
    "Ohbez9iRe7VnfTaXKotrXsCyocNvtlPcvlEbwfZQ3UWYdLTcsiAVI7DyEYkhEz1tJFdMhdhjn6KGJlZlMmH5yMM0nVZRKkshLTwbtvNd2_tAHm"
    "QsDnY9q010MFGADcXD20lLyMkSZCjUkTTG-"
    "5D1_i0iMqVKkp3RM4_3O_jNpKFPDY8xhkA8pNg1yxWVaSB0gVuBWPbLRgz5pee4yimdudbc08Rz88n5WUSLUvsr0PN4BIvV4nPvtx4Tnxwflbm"
    "ktthDlw-pHL02gev65fupYxU6e3e_6-n8fLNNp_czB2h2hQVH-3j2xkKFVC1IfUNmsryN1UDfQXx-"
    "RiBBJNFaFeIOUI_oAnHB53Aij_Jj6I54PZT7wPY3ka2sfepa09UtJXS74MiN16-Rc4YbdDanvfwJ-Rutv"
)


def test_a_link_of_the_first_version_opens_the_same_settings():
    file = Given(bytes(4 * 784), (1, 1, 28, 28), "float32", "digit.png: 28 × 28, grey → taken as it is")
    overrides = (
        lw.Entry(lw.rules.Flat(), "fc"),
        lw.Entry(lw.rules.Epsilon(0.001, relative=True), lw.Depth(0.1, 0.5)),
    )
    settings = Settings(
        sample=Morph(file, 4, 0.25),
        method=lw.LRP(
            lw.by_depth(lower=lw.rules.AlphaBeta(1.7), overrides=overrides),
            filters=(lw.Filter("features.3", (1, 5), ((0.0, 0.1), (1.0, 0.0), (0.5, 0.75)), block=True),),
        ),
        target=lw.contrast(3, 8),
        layer="features.3",
        channel=5,
        trail=(Neuron("features.3", (1, 2, 3)), Pixel("", 3, 4)),
        pins=(
            Settings(
                sample=4,
                method=lw.Smoothed(
                    lw.Translated(lw.LRP(lw.alpha_beta(alpha=2.0)), shift=2, border="edge"), samples=3, noise=0.07
                ),
                target=7,
            ),
        ),
    )
    assert from_state(FIRST_LINK, Settings, SAMPLES, PARTS) == (settings, {"colormap": "grey", "opacity": 0.35})
    assert from_state(to_query(to_state(settings, more=PARTS)), Settings, SAMPLES, PARTS)[0] == settings


def test_a_link_holds_a_drawing_but_no_photograph():
    ink = bytes(100) + bytes(random.Random(0).randbytes(400)) + bytes(284)
    drawn = Settings(ink, lw.LRP())
    assert from_state(to_query(to_state(drawn)), Settings, SAMPLES)[0] == drawn
    with pytest.raises(StateError) as error:
        to_query({"lrp_widgets": 1, "sample": {"bytes": base64.b64encode(random.Random(0).randbytes(9000)).decode()}})
    assert str(error.value).startswith(f"A link may have {MAX_LINK_LENGTH} characters, this state needs 12")
    assert str(error.value).endswith("Its input is too large for a link: save the state as a file.")


def test_a_link_that_unpacks_to_too_much_is_refused():
    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * (MAX_SIZE + 1), 9)).decode().rstrip("=")
    with pytest.raises(StateError, match=f"must be whole and at most {MAX_SIZE} bytes"):
        from_query(bomb)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":' * 65, "The state is not JSON: it is nested too deeply."),
        ("{" + "[" * 4_000_000, "The state is not JSON: it is nested too deeply."),
        ("{" + "[],[]," * 600_000, "A state may have 100000 values, this one has more."),
        ("{" + "1," * 2_000_000, "A state may have 100000 values, this one has more."),
        ("{" + '""' * 2_000_000, "A state may have 100000 values, this one has more."),
    ],
    ids=["tables", "lists", "empty lists", "numbers", "texts"],
)
def test_what_is_too_much_is_refused_before_anything_is_made_of_it(monkeypatch, text, said):
    monkeypatch.setattr("json.loads", None)
    with pytest.raises(StateError, match=f"^{re.escape(said)}$"):
        from_text(text)


@pytest.mark.parametrize(
    "text",
    ['"' + "[{," * 100_000 + '"', '"' + "x" * 4_000_000, '"' + "\\" * 3_999_999, '"' + '\\"' * 1_900_000, "[]" * 10],
    ids=["brackets in a text", "no end", "a backslash at the end", "quotes in a text", "lists beside each other"],
)
def test_the_count_takes_one_reading(text):
    """A text without an end would take hours where each quote is tried as the beginning of one."""
    with pytest.raises(StateError, match=r"^The state is not JSON: (?!it is nested)"):
        from_text("{" + text)
