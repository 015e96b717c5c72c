"""Faults in the apps: explore, quality, scan, and what they share."""

from __future__ import annotations

from mutants.fault import Fault

A = "lrp_widgets/apps"
T = "tests/apps"
TURNS = f"{T}/test_turns.py"
LATE = f"{T}/explore/test_late_answers.py"
KEPT = f"{T}/explore/test_neurons_kept.py"
AHEAD = f"{T}/explore/test_ahead.py"
HISTORY = f"{T}/session/test_history.py"

FAULTS = (
    Fault(
        "explore brings settings while a hand is at the controls",
        f"{A}/explore/explore.py",
        "    @in_turn\n    def bring(",
        "    def bring(",
        f"{TURNS}::test_settings_are_brought_into_the_explore_app_in_turn",
    ),
    Fault(
        "quality brings settings while a hand is at the controls",
        f"{A}/quality/quality.py",
        "    @in_turn\n",
        "",
        f"{TURNS}::test_settings_are_brought_into_the_quality_app_in_turn",
    ),
    Fault(
        "the rules in force are brought while a hand is at the controls",
        f"{A}/explore/composing.py",
        "    @in_turn\n",
        "",
        f"{TURNS}::test_the_rules_in_force_are_brought_into_the_own_composite_in_turn",
    ),
    Fault(
        "what is brought asks for each part by itself",
        f"{A}/explore/explore.py",
        "        if self._bringing:\n            return\n",
        "",
        f"{TURNS}::test_what_is_brought_asks_once_and_for_all_of_it",
    ),
    Fault(
        "a late answer moves the chosen class back in explore",
        f"{A}/explore/display.py",
        "show_classes(self.classes, explanation, self.samples, self.settings.target)",
        "show_classes(self.classes, explanation, self.samples, settings.target)",
        f"{LATE}::test_an_answer_for_an_older_class_leaves_the_newer_choice",
    ),
    Fault(
        "a late answer moves the chosen layer back",
        f"{A}/explore/display.py",
        "selected=existing(self.settings, explanation).layer",
        "selected=shown.layer",
        f"{LATE}::test_an_answer_for_an_older_layer_leaves_the_newer_choice",
    ),
    Fault(
        "a late answer moves the chosen class back in quality",
        f"{A}/quality/quality.py",
        "show_classes(self.classes, explanation, self.samples, self.asked.settings.target)",
        "show_classes(self.classes, explanation, self.samples, explanation.target[0])",
        f"{LATE}::test_in_the_quality_app_an_answer_for_an_older_class_leaves_the_newer_choice",
    ),
    Fault(
        "the top class outlives its input",
        f"{A}/explore",
        "self._bytes, self._top, self._x = 0, None, x.clone()",
        "self._bytes, self._x = 0, x.clone()",
        f"{LATE}::test_what_is_known_of_the_top_class_is_of_this_input "
        f"{LATE}::test_what_is_known_of_the_top_class_is_of_these_weights",
    ),
    Fault(
        "what is known outlives a change of the weights",
        f"{A}/explore",
        " and self._explainer.remembers(x)",
        "",
        AHEAD,
    ),
    Fault(
        "what is known outlives a change of the input",
        f"{A}/explore",
        "torch.equal(self._x, x)",
        "self._x.shape == x.shape",
        f"{AHEAD} {LATE}::test_what_is_known_of_the_top_class_is_of_this_input",
    ),
    Fault(
        "the oldest explanation stays, the newest goes",
        f"{A}/explore",
        "popitem(last=False)",
        "popitem(last=True)",
        AHEAD,
    ),
    Fault(
        "an interpolation that is off is used",
        f"{A}/explore",
        "for at in others) <= CLOSE:",
        "for at in others) <= 1:",
        AHEAD,
    ),
    Fault(
        "filling in does not stop for a request",
        f"{A}/explore",
        "                    if superseded():\n                        return\n                    key =",
        "                    key =",
        AHEAD,
    ),
    Fault(
        "an explanation is abandoned where nothing stands yet",
        f"{A}/explore",
        "(seen and superseded())",
        "superseded()",
        AHEAD,
    ),
    Fault(
        "of one layer two neurons are kept",
        f"{A}/explore/inspection.py",
        "if keep or not each.block or each.neuron == index",
        "if each.neuron == index",
        KEPT,
    ),
    Fault(
        "blocking a second neuron gives up the first",
        f"{A}/explore/inspection.py",
        "if keep or not each.block or each.neuron == index",
        "if True",
        KEPT,
    ),
    Fault(
        "the trail has no limit",
        f"{A}/explore/inspection.py",
        "neuron)[-MOST_MESSAGES:]",
        "neuron)",
        f"{KEPT}::test_of_a_long_way_the_last_stops_are_remembered",
    ),
    Fault(
        "the trail keeps its first stops",
        f"{A}/explore/inspection.py",
        "neuron)[-MOST_MESSAGES:]",
        "neuron)[:MOST_MESSAGES]",
        f"{KEPT}::test_of_a_long_way_the_last_stops_are_remembered",
    ),
    Fault(
        "going back keeps one stop too few",
        f"{A}/explore/inspection.py",
        "trail[: place + 1]",
        "trail[:place]",
        f"{KEPT}::test_of_a_long_way_the_last_stops_are_remembered",
    ),
    Fault(
        "a slider lifts the filters",
        f"{A}/explore/explore.py",
        'getattr(self.settings.method, "filters", ()),',
        "(),",
        f"{T}/explore/test_explore_parts.py::test_only_the_kept_channels_pass",
    ),
    Fault(
        "another layer keeps the channel of the one before",
        f"{A}/explore/explore.py",
        'changes.setdefault("channel", -1)',
        "pass",
        f"{T}/explore/test_explore_parts.py::test_one_channel_alone_is_shown",
    ),
    Fault(
        "the pixel that is clicked has row and column swapped",
        f"{A}/explore/explore.py",
        'self.projection.position(at["y"], at["x"])',
        'self.projection.position(at["x"], at["y"])',
        f"{T}/explore/test_explore_parts.py::test_a_clicked_pixel_shows_its_arithmetic_and_leads_through_the_network",
    ),
    Fault(
        "a model that fails leaves its picture as if it were right",
        f"{A}/explore/display.py",
        "        self.heatmap.stale = True",
        "        self.heatmap.stale = False",
        f"{T}/explore/test_explore_trouble.py::test_a_model_in_training_mode",
    ),
    Fault(
        "a seventh pin is taken",
        f"{A}/explore/pinning.py",
        "if len(present.pins) >= MOST_PINS:",
        "if len(present.pins) > MOST_PINS:",
        f"{T}/explore/test_explore_parts.py::test_a_seventh_pin_is_refused",
    ),
    Fault(
        "recalling a pin takes the other pins away",
        f"{A}/explore/pinning.py",
        'WITHOUT_PICTURE = {"trail", "pins"}',
        'WITHOUT_PICTURE = {"trail"}',
        f"{T}/explore/test_explore_parts.py::test_pins_stand_beside_the_present_one_and_say_what_differs",
    ),
    Fault(
        "orders of another class are taken for the band",
        f"{A}/explore/curves.py",
        "subject = (x, target, tuple(explanation.scores.flatten().tolist()))",
        "subject = (x, 0, tuple(explanation.scores.flatten().tolist()))",
        f"{T}/explore/test_explore.py::test_the_curve_follows_and_random_orders_are_kept_until_input_or_class_changes",
    ),
    Fault(
        "undo goes two steps back",
        f"{A}/session/history.py",
        "return self._go(-1)",
        "return self._go(-2)",
        HISTORY,
    ),
    Fault(
        "what could be redone is kept after a new value",
        f"{A}/session/history.py",
        "        del self._values[self._at + 1 :]\n",
        "",
        HISTORY,
    ),
    Fault(
        "a drag is many steps",
        f"{A}/session/history.py",
        "time_ - self._time <= self._drag",
        "time_ - self._time < 0",
        HISTORY,
    ),
    Fault(
        "moves of two fields are one drag",
        f"{A}/session/history.py",
        "field is not None and field == self._field and",
        "field is not None and",
        HISTORY,
    ),
    Fault(
        "a small network gets all cores",
        f"{A}/session/cores.py",
        "if not is_small(model, x):",
        "if is_small(model, x):",
        f"{T}/session/test_cores.py",
    ),
    Fault(
        "a morph goes the other way",
        f"{A}/session/settings.py",
        "torch.lerp(start, stop, sample.share)",
        "torch.lerp(stop, start, sample.share)",
        f"{T}/explore/test_explore_parts.py::test_an_input_on_its_way_to_another_one",
    ),
    Fault(
        "a link may be of any length",
        f"{A}/sharing/link.py",
        "if len(query) > MAX_LINK_LENGTH:",
        "if False:",
        f"{T}/sharing/test_link.py {T}/sharing/test_state.py {T}/sharing/test_sharing.py",
    ),
    Fault(
        "a state with unknown fields is opened",
        f"{A}/sharing/state.py",
        "        if name not in {*names,",
        "        if False and name not in {*names,",
        f"{T}/sharing/test_state.py",
    ),
    Fault(
        "of jointly moved sliders the first runs fastest",
        f"{A}/sharing/positions.py",
        "values in product(*(axis.values for axis in self.axes)):",
        "values in (v[::-1] for v in product(*(axis.values for axis in self.axes[::-1]))):",
        f"{T}/sharing/test_positions.py {T}/sharing/test_export.py",
    ),
    Fault(
        "one map more than there is room for is exported",
        f"{A}/sharing/positions.py",
        "if len(grid) <= most:",
        "if len(grid) <= most + 1:",
        f"{T}/sharing/test_positions.py",
    ),
)
