from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
import traitlets

from lrp_widgets.widgets.browser import module
from lrp_widgets.widgets.controls.upload import UploadPad, megabytes


@pytest.fixture
def pad():
    return UploadPad()


@pytest.fixture
def sent(pad, monkeypatch):
    messages = []
    monkeypatch.setattr(pad, "_send", lambda message, buffers=None: messages.append((message["state"], buffers)))
    return messages


def test_a_file_arrives_as_memoryview(pad):
    seen = []
    pad.observe(lambda change: seen.append((change["new"], pad.filename, pad.content)), "sequence")
    pad.set_state({"sequence": 1, "content": memoryview(b"\x89PNG"), "filename": "cat.png"})
    assert seen == [(1, "cat.png", b"\x89PNG")]  # who observes the sequence finds the rest in place
    assert (pad.problem, pad.refused) == ("", "")


def test_the_file_never_goes_back_to_a_browser(pad, sent):
    pad.set_state({"content": memoryview(b"secret"), "sequence": 1})
    pad.show(None, "cat.png: read")
    pad.set_state({"content": memoryview(b"x" * 10), "filename": 3})
    assert pad.content == b"secret"
    assert pad.get_state()["content"] == b""
    assert not [1 for state, buffers in sent if "secret" in f"{state}" or b"secret" in (buffers or [])]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            {"content": memoryview(bytes(6_000_001)), "sequence": 1},
            "UploadPad.content must be at most 6 MB, got 6.1 MB. Save it with fewer pixels.",
        ),
        (
            {"content": 10**12, "sequence": 1},
            "The 'content' trait of an UploadPad instance expected a bytes object, not the int 1000000000000.",
        ),
        (
            {"content": memoryview(b"x"), "filename": "x" * 256, "sequence": 1},
            "UploadPad.filename must be at most 255 letters, got 256. Rename it.",
        ),
        (
            {"filename": 3, "sequence": 1},
            "The 'filename' trait of an UploadPad instance expected a unicode string, not the int 3.",
        ),
        (
            {"sequence": -1},
            "The value of the 'sequence' trait of an UploadPad instance should not be less than 0, "
            "but a value of -1 was specified",
        ),
        ({"most_bytes": 9_000_000}, "UploadPad.most_bytes cannot be set from the browser."),
        ({"image": memoryview(b"x")}, "UploadPad.image cannot be set from the browser."),
        ({"shape": [1, 1, 1]}, "UploadPad.shape cannot be set from the browser."),
        ({"said": "all is well"}, "UploadPad.said cannot be set from the browser."),
        ({"refused": ""}, "UploadPad.refused cannot be set from the browser."),
        ({"answered": 5}, "UploadPad.answered cannot be set from the browser."),
    ],
)
def test_a_forged_message_is_refused_and_the_pad_says_so(pad, message, problem):
    pad.set_state(message)
    assert (pad.problem, pad.refused, pad.answered) == (problem, problem, 1)  # answered: the page waits no longer
    assert (pad.sequence, pad.filename, pad.content, pad.most_bytes) == (0, "", b"", 6_000_000)


def test_what_a_forger_wrote_is_not_sent_back_whole(pad):
    pad.set_state({"content": "x" * 100_000})
    assert len(pad.refused) == 300


def test_the_limit_itself_is_taken(pad):
    pad.set_state({"content": memoryview(bytes(6_000_000)), "sequence": 1})
    assert (pad.problem, len(pad.content)) == ("", 6_000_000)


def test_the_limit_stays_below_what_closes_the_connection():
    with pytest.raises(traitlets.TraitError):
        UploadPad(most_bytes=10_000_000)
    small = UploadPad(most_bytes=1000)
    small.set_state({"content": memoryview(bytes(1001))})
    assert small.problem == "UploadPad.content must be at most 0.1 MB, got 0.1 MB. Save it with fewer pixels."


def test_show_and_refuse_send_one_message_each(pad, sent):
    pad.show(np.eye(4), "cat.png: 4 × 4")
    pad.refuse("dog.gif must be a PNG")
    pad.show(np.zeros((2, 3, 3), np.uint8), "cat.png: 3 × 2")
    assert [sorted(state) for state, _ in sent] == [
        ["answered", "said", "shape"],  # and the picture, as a buffer
        ["answered", "refused"],
        ["answered", "refused", "said", "shape"],
    ]
    assert (pad.shape, len(pad.image), pad.answered) == ([2, 3, 3], 18, 3)


def test_a_refusal_keeps_the_picture(pad):
    pad.show(np.eye(4), "cat.png: 4 × 4")
    pad.refuse("dog.gif must be a PNG")
    assert (pad.said, pad.shape, len(pad.image)) == ("cat.png: 4 × 4", [4, 4, 1], 16)


def test_what_is_no_picture_is_shown_in_words(pad):
    pad.show(None, "a.npy: 5 × 5 × 7")
    assert (pad.image, pad.shape, pad.said) == (b"", [0, 0, 1], "a.npy: 5 × 5 × 7")


def test_clear(pad):
    pad.set_state({"content": memoryview(b"x"), "filename": "cat.png", "sequence": 1})
    pad.show(np.eye(4), "cat.png: 4 × 4")
    pad.clear()
    assert (pad.content, pad.filename, pad.image, pad.said, pad.refused) == (b"", "", b"", "", "")


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (1, 4, 4, 3)])
def test_show_refuses_other_shapes(pad, shape):
    with pytest.raises(ValueError) as error:
        pad.show(np.zeros(shape), "")
    assert str(error.value) == (
        f"UploadPad.show: image must be (height, width), or with 1 or 3 channels at the end, got shape {shape}."
    )


def run(expression: str, given: object) -> object:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    source = f"{module('file')}\nconst given = {json.dumps(given)};\nconsole.log(JSON.stringify({expression}));"
    done = subprocess.run(
        [program, "--input-type=module"], input=source, capture_output=True, encoding="utf-8", check=True, timeout=60
    )
    return json.loads(done.stdout)


SIZES = [1, 99_999, 100_000, 100_001, 1_000_000, 5_999_999, 6_000_000, 6_000_001, 6_049_999, 8_300_000, 123_456_789]


def test_browser_and_python_write_sizes_alike():
    assert run("given.map(megabytes)", SIZES) == [megabytes(size) for size in SIZES]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"name": "a.png", "size": 6_000_000}, ""),
        ({"name": "a.png", "size": 6_000_001}, "a.png must be at most 6 MB, got 6.1 MB. Save it with fewer pixels."),
        ({"name": "", "size": 7_000_000}, "The file must be at most 6 MB, got 7 MB. Save it with fewer pixels."),
        (
            {"name": "a.png", "size": 0},
            "a.png must hold a picture, got an empty file or a folder. Choose another one.",
        ),
    ],
)
def test_the_browser_refuses_what_it_will_not_send(file, said):
    assert run("objection(given, 6000000)", file) == said


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("cat.jpg: 4 × 4 → grey", ["cat.jpg", "4 × 4 → grey"]),
        ("a picture", ["", "a picture"]),
        ("", ["", ""]),
    ],
)
def test_the_name_stands_before_the_colon(said, parts):
    assert run("parts(given)", said) == parts
