"""The app in Voila, moved by mouse and keyboard: the picture follows, and says so."""

from __future__ import annotations

import re

import pytest
from browser.dashboard_page import PATIENCE, DashboardPage, wait_until
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_page_opens_on_a_digit_explained(app: DashboardPage):
    ((_, colours),) = app.pixels()
    assert colours > 100  # shades, not a blank
    assert app.heatmap.get_attribute("data-arrangement") == "overlay"
    assert re.match(r"ΣR = 21\.\d+ · f\(x\) = 21\.\d+\nabsorbed ", app.stamp)
    expect(app.thumbnails.first).to_have_attribute("aria-selected", "true")
    app.explains(4)
    assert app.root.locator(".lrp-equation").count() == 4
    assert "every layer closes to " in app.said


@pytest.mark.parametrize(
    ("method", "name", "key"),
    [
        ("γ · αβ · ε by depth", "α", "PageUp"),
        ("γ · αβ · ε by depth", "γ", "End"),
        ("γ · αβ · ε by depth", "layer split", "Home"),
        ("LRP-ε", "ε", "End"),
    ],
)
def test_a_slider_moves_the_picture_by_keyboard(app: DashboardPage, method, name, key):
    app.select("method").select_option(method)
    app.at_rest()
    before, stamp = app.pixels(), app.stamp
    with app.explained():
        app.press(name, key)
    app.shows_not(before)
    assert app.stamp != stamp


def test_beta_and_the_readout_follow_alpha(app: DashboardPage):
    with app.explained():
        app.press("α", "ArrowRight", 3)
    slider = app.slider("α").locator("xpath=ancestor::*[contains(@class,'lrp-control')]")
    expect(slider.locator(".widget-readout")).to_have_text("1.15", timeout=PATIENCE)
    expect(slider.locator(".lrp-note")).to_have_text("β = 0.15", timeout=PATIENCE)
    expect(app.root.locator(".lrp-equation", has_text="α = 1.15, β = 0.15")).to_be_visible(timeout=PATIENCE)


def test_a_held_key_ends_on_the_picture_of_the_last_value(app: DashboardPage):
    with app.explained():
        app.press("α", "End")
    app.at_rest()
    wanted = app.pixels()
    with app.explained():
        app.press("α", "Home")
    with app.explained():
        app.press("α", "ArrowRight", 40)
    app.shows(wanted)


def test_every_input_rule(app: DashboardPage):
    shown = []
    rules = app.select("input rule").locator("option")
    for index in [*range(rules.count())][::-1]:
        with app.explained():
            app.select("input rule").select_option(index=index)
        app.at_rest()
        shown.append(app.pixels())
        # One, or none where idle time came before the choice.
        assert re.match("[01] of 11 steps recomputed", app.said), app.said
    assert len(shown) == 6
    assert len(set(map(str, shown))) >= 5  # for grey pixels z^B from 0 and z⁺ are close


def test_every_method_in_turn(app: DashboardPage):
    shown = []
    for index in range(1, app.select("method").locator("option").count()):
        with app.explained():
            app.select("method").select_option(index=index)
        app.at_rest()
        shown.append(app.pixels())
    assert len(set(map(str, shown))) >= 10
    expect(app.root.locator(".lrp-equation")).to_have_count(1)  # Simple Taylor
    assert app.layers.count() == 1  # and no ledger


def test_another_class(app: DashboardPage):
    before = app.pixels()
    with app.explained():
        app.classes.nth(9).click()
    app.explains(9)
    app.shows_not(before)
    expect(app.root.locator(".lrp-classes-auto input")).not_to_be_checked()
    with app.explained():
        app.root.locator(".lrp-classes-auto input").check()
    app.explains(4)
    app.shows(before)


def test_another_sample(app: DashboardPage):
    before = app.pixels()
    with app.explained():
        app.thumbnails.nth(2).click()
    app.explains(6)
    app.shows_not(before)


def test_a_layer_shows_its_map(app: DashboardPage):
    before = app.pixels()
    for name in ("features.3", "features.0"):
        with app.explained():
            app.root.locator(f'.lrp-layers-row[data-name="{name}"]').click()
        app.shows_not(before)
        assert app.heatmap.get_attribute("data-arrangement") == "overlay"  # spread over what each position sees
        expect(app.root.locator(f'.lrp-layers-row[data-name="{name}"]')).to_have_attribute("aria-selected", "true")
    with app.explained():
        app.root.locator('.lrp-layers-row[data-name=""]').click()
    app.shows(before)


def test_how_it_looks_is_the_browsers_work(app: DashboardPage):
    for name, value in (("show", "heatmap"), ("colours", "orange-purple"), ("show", "side by side")):
        with app.repainted():
            app.select(name).select_option(value)
    assert len(app.pixels()) == 2
    with app.repainted():
        app.press("clip %", "PageDown", 3)
    expect(app.heatmap.locator(".lrp-heatmap-note")).to_contain_text("clipped")
    with app.repainted():
        app.select("show").select_option("overlay")
    with app.repainted():
        app.press("opacity", "PageDown", 2)
    app.press("opacity", "PageUp", 2)


def test_the_curve_follows(app: DashboardPage):
    before, text = app.line(), app.root.locator(".lrp-curve-head").inner_text()
    assert before.count("L") == 49 or len(before) > 100
    with app.explained():
        app.press("α", "End")
    wait_until(lambda: app.line() != before, app.page, "the curve is another one")
    assert app.root.locator(".lrp-curve-head").inner_text() != text
    column = app.root.locator(".lrp-middle").bounding_box()
    figure = app.root.locator(".lrp-curve .main-svg").first.bounding_box()
    assert column and figure
    assert figure["x"] >= column["x"] - 1
    assert figure["x"] + figure["width"] <= column["x"] + column["width"] + 1


def test_a_drawn_one_is_seen_as_a_one(app: DashboardPage):
    before = app.pixels()
    app.source("Draw")
    expect(app.root.locator(".lrp-drawing-hint")).to_have_text("draw a digit")
    with app.explained():
        app.draw((0.5, 0.15), (0.47, 0.85))
    app.explains(1)
    app.shows_not(before)
    expect(app.root.locator(".lrp-drawing-hint")).to_be_hidden()
    app.root.get_by_role("button", name="Clear", exact=True).click()
    expect(app.root.locator(".lrp-drawing-hint")).to_be_visible()
    app.is_ok()
    with app.explained():
        app.draw((0.25, 0.2), (0.75, 0.2), (0.45, 0.85))
    app.explains(7)
    with app.explained():
        app.source("Samples")
    app.shows(before)
