"""The parts of the dashboard in a browser: composite, filter, region, arithmetic, pins, morph, upload, undo, a drag."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from browser.dashboard_page import PATIENCE, DashboardPage, wait_until
from browser.layout import sticking_out
from PIL import Image
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def layer(app: DashboardPage, name: str) -> None:
    app.root.locator(f'.lrp-layers-row[data-name="{name}"]').click()


def composite_select(app: DashboardPage, name: str):
    label = app.page.locator(".widget-label", has_text=re.compile(f"^{name}$"))
    return app.root.locator(".lrp-composite .widget-dropdown", has=label).locator("select")


def test_a_composite_of_ones_own(app: DashboardPage):
    before = app.pixels()
    app.select("method").select_option("Your own, by layer")
    app.at_rest()
    app.shows(before)  # it begins as the preset before it
    with app.explained():
        composite_select(app, "lower").select_option("flat")
    app.shows_not(before)
    app.turn_to("Rules")
    expect(app.root.locator(".lrp-equation", has_text="R_j = Σ_k 1 / Σ_j 1".replace("_", ""))).to_be_visible()
    app.turn_to("Composite")
    with app.explained():
        composite_select(app, "lower").select_option("γ")
    app.shows(before)
    app.root.locator(".lrp-composite .widget-select select").select_option(index=1)
    with app.explained():
        composite_select(app, "this layer").select_option("w²")
    expect(app.root.locator(".lrp-composite .widget-select option").nth(1)).to_have_text("features.6 · w² (own)")


def test_only_what_passes_a_channel(app: DashboardPage):
    layer(app, "features.3")
    app.turn_to("Channels")
    tiles = app.root.locator(".lrp-channels button", has_text="keep only")
    expect(tiles).to_have_count(13, timeout=PATIENCE)  # the one of the sum is hidden
    stamp = app.stamp
    with app.explained():
        tiles.nth(1).click()
    wait_until(lambda: "filter" in app.stamp, app.page, "the stamp names the filter")
    with app.explained():
        app.root.get_by_role("button", name="clear filter").click()
    wait_until(lambda: app.stamp == stamp, app.page, "all of it passes again")


def test_a_layer_lies_over_the_input_and_a_channel_has_its_patches(app: DashboardPage):
    with app.explained():
        layer(app, "features.3")
    expect(app.root.locator(".lrp-projection")).to_contain_text("one position sees 14 × 14 px, every 2 px")
    before = app.pixels()
    for _ in range(2):
        with app.explained():
            app.root.locator(".lrp-projection input").click()
    app.shows(before)
    app.turn_to("Channels")
    with app.explained():
        app.root.locator(".lrp-channels-pick").nth(1).click()
    app.turn_to("Patches")
    expect(app.root.locator(".lrp-patches .lrp-maps-tile")).to_have_count(9, timeout=PATIENCE)
    assert sticking_out(app.page) == []


def test_a_region_has_its_share(app: DashboardPage):
    sequence = app.sequence
    app.root.locator(".lrp-heatmap-tools button").nth(1).click()  # the rectangle
    box = app.root.locator(".lrp-heatmap-pictures").bounding_box()
    assert box
    mouse = app.page.mouse
    mouse.move(box["x"] + 60, box["y"] + 60)
    mouse.down()
    mouse.move(box["x"] + 260, box["y"] + 200, steps=5)
    mouse.up()
    expect(app.root.locator(".lrp-heatmap-share")).to_contain_text("inside")
    assert app.sequence == sequence  # nobody was asked
    app.page.keyboard.press("Escape")
    app.root.locator(".lrp-heatmap-tools button").first.click()


def test_the_arithmetic_of_a_pixel(app: DashboardPage):
    app.root.locator(".lrp-heatmap-pictures").click(position={"x": 150, "y": 190})
    view = app.root.locator(".lrp-arithmetic")
    expect(view.locator(".lrp-arithmetic-neuron")).to_contain_text("enters features.0", timeout=PATIENCE)
    expect(view.locator(".lrp-arithmetic-body .lrp-arithmetic-row")).to_have_count(10)
    view.locator(".lrp-arithmetic-body .lrp-arithmetic-row").first.click()
    expect(view.locator(".lrp-arithmetic-neuron")).to_contain_text("enters features.3", timeout=PATIENCE)
    expect(view.locator(".lrp-arithmetic-crumb")).to_have_count(2)
    view.locator(".lrp-arithmetic-crumb").first.click()
    expect(view.locator(".lrp-arithmetic-neuron")).to_contain_text("enters features.0", timeout=PATIENCE)


def test_a_pin_stands_beside_the_present_one(app: DashboardPage):
    before = app.pixels()
    app.root.locator(".lrp-toolbar-button", has_text="pin").click()
    compare = app.root.locator(".lrp-compare")
    expect(compare.locator(".lrp-compare-differs")).to_have_count(1, timeout=PATIENCE)
    with app.explained():
        app.press("α", "End")
    expect(compare.locator(".lrp-compare-differs")).to_contain_text("α 1", timeout=PATIENCE)
    with app.explained():
        compare.locator("[data-ask=recalled]").click()
    app.shows(before)
    compare.locator(".lrp-compare-tile .lrp-compare-remove").click()
    expect(compare.locator(".lrp-compare-differs")).to_have_count(0, timeout=PATIENCE)


def test_one_class_against_another(app: DashboardPage):
    before = app.pixels()
    with app.explained():
        app.select("against").select_option("9")
    app.shows_not(before)
    expect(app.root.locator(".lrp-heatmap-pictures")).to_have_attribute("aria-label", re.compile("4 against 9"))
    with app.explained():
        app.select("against").select_option("nothing")
    app.shows(before)


def test_an_input_is_led_to_another_one(app: DashboardPage):
    before = app.pixels()
    app.root.locator(".widget-toggle-button", has_text="morph").click()
    with app.explained():
        app.thumbnails.nth(5).click()
    with app.explained():
        app.root.locator(".lrp-source .noUi-handle").press("End")
    app.explains(7)
    with app.explained():
        app.root.locator(".widget-toggle-button", has_text="morph").click()
    app.shows(before)


def test_a_file_is_explained_and_a_broken_one_told(app: DashboardPage):
    picture = np.zeros((56, 56), np.uint8)
    picture[8:48, 26:31] = 255
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    app.turn_to("Upload")
    chooser = app.root.locator(".lrp-upload input[type=file]")
    with app.explained():
        chooser.set_input_files({"name": "one.png", "mimeType": "image/png", "buffer": file.getvalue()})
    app.explains(1)
    expect(app.root.locator(".lrp-upload-words")).to_contain_text("28 × 28")
    chooser.set_input_files({"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(app.status).to_have_attribute("data-level", "error", timeout=PATIENCE)
    with app.explained():
        app.source("Samples")
    app.explains(4)


def test_undo_and_redo_by_key(app: DashboardPage):
    before = app.pixels()
    with app.explained():
        app.press("α", "End")
    after = app.pixels()
    with app.explained():
        app.page.keyboard.press("Control+z")
    app.shows(before)
    expect(app.slider("α")).to_have_attribute("aria-valuenow", "1.0")
    with app.explained():
        app.page.keyboard.press("Control+Shift+z")
    app.shows(after)


def test_keys_for_pins_and_for_the_list_of_keys(app: DashboardPage):
    pins = app.root.locator(".lrp-compare-differs")
    listed = app.root.locator(".lrp-toolbar-keys")
    app.slider("α").focus()
    app.page.keyboard.press("?")
    expect(listed).to_be_visible()
    expect(listed).to_contain_text("Keep this explanation beside the ones that follow")
    app.page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    app.slider("α").locator("xpath=ancestor::*[contains(@class,'lrp-control')]").locator(".widget-readout").click()
    app.page.keyboard.press("p")  # typed, and refused there
    app.page.keyboard.press("Escape")
    app.slider("α").focus()
    app.page.wait_for_timeout(300)
    assert pins.count() == 0
    app.page.keyboard.press("p")
    expect(pins).to_have_count(1, timeout=PATIENCE)
    app.root.locator(".lrp-compare-tile .lrp-compare-remove").click()
    expect(pins).to_have_count(0, timeout=PATIENCE)


def test_a_control_that_was_moved_is_reset(app: DashboardPage):
    before = app.pixels()
    control = app.slider("α").locator("xpath=ancestor::*[contains(@class,'lrp-control')]")
    place = control.bounding_box()
    with app.explained():
        app.press("α", "End")
    reset = control.get_by_role("button", name="Reset α to 1")
    expect(reset).to_be_visible(timeout=PATIENCE)
    assert control.bounding_box() == place  # nothing jumps
    reset.focus()
    with app.explained():
        app.page.keyboard.press("Enter")
    app.shows(before)
    app.slider("α").focus()
    expect(reset).to_be_hidden()


def test_one_neuron_is_kept(app: DashboardPage):
    app.root.locator(".lrp-heatmap-pictures").click(position={"x": 150, "y": 190})
    view = app.root.locator(".lrp-arithmetic")
    expect(view.locator(".lrp-arithmetic-neuron")).to_contain_text("enters features.0", timeout=PATIENCE)
    view.locator(".lrp-arithmetic-body .lrp-arithmetic-row").first.click()
    expect(view.locator(".lrp-arithmetic-neuron")).to_contain_text("enters features.3", timeout=PATIENCE)
    with app.explained():
        view.locator("[data-passing=keep]").click()
    expect(view.locator(".lrp-arithmetic-chip")).to_contain_text("only neuron", timeout=PATIENCE)
    with app.explained():
        view.locator(".lrp-arithmetic-chip button").click()
    expect(view.locator(".lrp-arithmetic-chip")).to_be_hidden(timeout=PATIENCE)


def test_a_drag_ends_on_the_right_picture(app: DashboardPage, measured):
    with app.explained():
        app.press("γ", "End")
    app.at_rest()
    wanted = app.pixels()
    with app.explained():
        app.press("γ", "Home")
    handle, track = app.slider("γ"), app.slider("γ").locator("xpath=ancestor::*[contains(@class,'noUi-base')]")
    start, whole = handle.bounding_box(), track.bounding_box()
    assert start
    assert whole
    mouse, y = app.page.mouse, start["y"] + start["height"] / 2
    mouse.move(start["x"] + start["width"] / 2, y)
    mouse.down()
    began, x = time.monotonic(), whole["x"]
    while (gone := time.monotonic() - began) < 2:
        mouse.move(x + whole["width"] * (0.5 + 0.5 * np.sin(6 * gone)), y)
        app.page.wait_for_timeout(15)
    mouse.move(x + whole["width"] + 20, y)
    began = time.monotonic()
    mouse.up()
    app.shows(wanted)
    measured("from the end of a drag of 2 s to the picture that belongs there, s", time.monotonic() - began)
