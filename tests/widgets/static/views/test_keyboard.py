"""keyboard.js: the pixels of a heatmap by keyboard."""

from __future__ import annotations

import pytest

# A surface in its root, and a state of 20 × 30 pixels, which writes down what it is asked to do.
KEYBOARD = """(() => {
  const [surface, root] = [new EventTarget(), new EventTarget()];
  surface.matches = () => true;
  const log = [];
  const state = {
    raster: { width: 30, height: 20 }, tool: given.tool ?? "pointer", cursor: null, corner: null,
    cursorOrStart: () => state.cursor ?? { x: 15, y: 10 }, region: () => given.region ?? [],
    pick: ({ x, y }) => log.push(["pick", x, y]), setZoom: (zoom) => log.push(["zoom", ...zoom]),
  };
  watchKeyboard(surface, root, state, {
    zoom: () => given.zoom ?? [1, 0, 0],
    showCursor: () => {},
    sketch: (region) => log.push(["sketch", ...region[0], ...region[2]]),
    mark: (region) => log.push(["mark", ...(region[0] ?? []), ...(region[2] ?? [])]),
    giveUp: () => given.drawing ?? false,
  });
  for (const name of given.keys) {
    const [key, ...held] = name.split(" + ").reverse();
    const event = Object.assign(new Event("keydown", { cancelable: true }), { key, shiftKey: false, ctrlKey: false });
    for (const modifier of held) event[modifier] = true;
    surface.dispatchEvent(event);
    const risen = Object.assign(new Event("keydown"), { key, ctrlKey: event.ctrlKey });
    root.dispatchEvent(risen);
    if (given.prevented) log.push([key, event.defaultPrevented]);
  }
  if (given.then) surface.dispatchEvent(new Event(given.then));
  return { cursor: state.cursor, log };
})()"""


def pressed(node, *keys: str, **given: object) -> dict:
    return node("keyboard", KEYBOARD, {"keys": keys, **given})


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [
        (["ArrowRight"], [16, 10]),
        (["ArrowLeft", "ArrowUp"], [14, 9]),
        (["ArrowDown", "shiftKey + ArrowLeft"], [5, 11]),
        (["shiftKey + ArrowDown"], [15, 19]),  # no further than the last row
        (["shiftKey + ArrowRight", "shiftKey + ArrowRight"], [29, 10]),
    ],
)
def test_arrow_keys_move_the_cursor(node, keys, cursor):
    assert list(pressed(node, *keys)["cursor"].values()) == cursor


def test_other_keys_are_left_to_the_page(node):
    got = pressed(node, "Home", "a", "ctrlKey + ArrowLeft", "ArrowLeft", "Enter", prevented=True)
    prevented = [entry for entry in got["log"] if entry[0] != "pick"]
    assert prevented == [["Home", False], ["a", False], ["ArrowLeft", False], ["ArrowLeft", True], ["Enter", True]]


def test_enter_picks_the_pixel_under_the_cursor(node):
    assert pressed(node, "ArrowRight", "Enter", " ")["log"] == [["pick", 16, 10], ["pick", 16, 10]]


def test_two_corners_make_a_rectangle_with_both_pixels_inside(node):
    got = pressed(node, "Enter", "ArrowRight", "ArrowUp", "Enter", tool="rectangle")
    assert got["log"] == [
        ["sketch", 15, 10, 16, 11],
        ["sketch", 15, 10, 17, 11],
        ["sketch", 15, 9, 17, 11],
        ["mark", 15, 9, 17, 11],
    ]


def test_escape_gives_up_what_is_drawn_and_else_the_region(node):
    region = [[0, 0], [1, 0], [1, 1]]
    assert pressed(node, "Escape", region=region)["log"] == [["mark"]]
    assert pressed(node, "Escape", region=region, drawing=True)["log"] == []
    assert pressed(node, "Escape")["log"] == []


def test_an_enlarged_picture_follows_the_cursor(node):
    assert pressed(node, "ArrowRight")["log"] == []
    (zoomed,) = pressed(node, "shiftKey + ArrowRight", zoom=[2, 0, 0])["log"]
    # The cursor comes to column 25.5 of 30 and two pixels to the right of it stay in sight: (25.5 + 2) / 30 − 1 / 2.
    assert zoomed == ["zoom", 2, pytest.approx(27.5 / 30 - 0.5), pytest.approx(12.5 / 20 - 0.5)]


def test_the_cursor_comes_and_goes_with_the_focus(node):
    assert pressed(node, then="focus")["cursor"] == {"x": 15, "y": 10}
    assert pressed(node, "ArrowRight", then="blur")["cursor"] is None
