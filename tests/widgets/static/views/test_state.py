"""state.js: what a heatmap shows, computed from its traits without a page."""

from __future__ import annotations

import pytest

# A model as anywidget hands it to a widget, with a map of 3 × 4 pixels; `given` overwrites its traits.
STATE = """(() => {
  const traits = {
    data: new DataView(Float32Array.from({ length: 12 }, (_, i) => i - 6).buffer), shape: [3, 4], sequence: 1,
    image: new DataView(new ArrayBuffer(12)), image_shape: [3, 4, 1], arrangement: "overlay", clicked: {}, region: [],
    signs: "symmetric", percentile: 100, scale: null, locked: [], colormap: "red-blue", opacity: 0.5, ...given,
  };
  let saved = 0;
  const model = {
    get: (name) => traits[name], set: (name, value) => (traits[name] = value), save_changes: () => saved++,
  };
  const state = makeState(model);
  state.read();
  %s
})()"""


def state_of(node, statement: str, **traits: object) -> object:
    return node("state", STATE % statement, traits)


def test_a_map_is_read_once_for_each_sequence(node):
    same = "const first = state.raster; state.read(); const again = state.raster === first;"
    new = "traits.sequence = 2; state.read(); return [again, state.raster === first, first.largest, first.width];"
    assert state_of(node, same + new) == [True, False, 6, 4]


@pytest.mark.parametrize(
    ("arrangement", "with_image", "without"),
    [("overlay", ["overlay", "overlay"], "heatmap"), ("beside", ["beside", "heatmap"], "heatmap")],
)
def test_an_arrangement_and_the_kind_of_its_map(node, arrangement, with_image, without):
    kinds = "return [state.arrangement(), state.coloured(state.raster, false).kind];"
    assert state_of(node, kinds, arrangement=arrangement) == with_image
    gone = f"traits.image = new DataView(new ArrayBuffer(0)); {kinds}"
    assert state_of(node, gone, arrangement=arrangement) == [without, "heatmap"]


def test_the_look_follows_the_traits(node):
    look = "const { ends, opacity } = state.coloured(state.raster, false); return [ends.low, ends.high, opacity];"
    assert state_of(node, look) == [6, 6, 0.5]
    assert state_of(node, look, signs="separate") == [6, 5, 0.5]
    assert state_of(node, look, signs="positive", locked=[2, 3]) == [0, 3, 0.5]


def test_the_cursor_begins_in_the_middle_or_on_the_picked_pixel_and_stays(node):
    assert state_of(node, "return state.cursorOrStart();") == {"x": 2, "y": 1}
    assert state_of(node, "return state.cursorOrStart();", clicked={"x": 0, "y": 2}) == {"x": 0, "y": 2}
    there = "state.cursor = { x: 3, y: 0 }; return state.cursorOrStart();"
    assert state_of(node, there, clicked={"x": 0, "y": 2}) == {"x": 3, "y": 0}


def test_a_pick_is_counted_and_none_is_ignored(node):
    picks = "state.pick({ x: 1, y: 2 }); state.pick(null); state.pick({ x: 1, y: 2 }); return [traits.clicked, saved];"
    assert state_of(node, picks) == [{"x": 1, "y": 2, "count": 2}, 2]


def test_a_drawn_region_comes_before_the_one_of_python_until_it_is_done(node):
    region = [[0, 0], [2, 0], [2, 1], [0, 1]]
    draft = "state.draft = [[1, 1], [3, 1], [3, 3], [1, 3]]; state.corner = { x: 1, y: 1 };"
    assert state_of(node, f"{draft} return state.region().length && state.region()[0];", region=region) == [1, 1]
    done = f"{draft} state.setRegion(state.draft); return [state.draft, state.corner, traits.region[0], saved];"
    assert state_of(node, done, region=region) == [None, None, [1, 1], 1]


def test_a_region_without_a_pixel_is_none(node):
    assert state_of(node, "state.setRegion([[0, 0], [0.2, 0], [0.2, 0.2]]); return traits.region;") == []


def test_a_region_is_weighed_once(node):
    weigh = "const [first, again] = [1, 2].map(() => state.weighed(state.raster));"
    mask = "return [Array.from(first.mask), first.isNew, again.isNew];"
    region = [[1, 0], [3, 0], [3, 2], [1, 2]]
    expected = [0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert state_of(node, weigh + mask, region=region) == [expected, True, False]
    gone = f"{weigh} traits.region = []; return [state.weighed(state.raster).isNew, state.weighed(state.raster).isNew];"
    assert state_of(node, gone, region=region) == [True, False]
