"""ArithmeticView: the numbers behind one neuron's relevance, to be followed from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, as_number, module, style

__all__ = ["DIRECTIONS", "ArithmeticView"]

PASSING = ("", "keep", "block")  # whether relevance passes only this neuron, or every other one
DIRECTIONS = ("up", "down")  # towards the output: the receivers k of neuron j; towards the input: the givers j of k
NEURON = ("layer", "index", "activation", "relevance")
NUMBERS = ("a", "w", "numerator", "denominator", "share", "relevance", "message")
ROW = ("name", *NUMBERS)


class ArithmeticView(BrowserWidget):
    """R_{j←k} = numerator / denominator · R_k, one row a message, for the neuron that was clicked.

    Upwards a row is a receiver k of neuron j, whose messages add up to R_j; downwards it is a giver j, and the
    messages add up to R_k. A row can be followed to its neuron, the trail leads back. Relevance may be let through the
    neuron in sight alone, or through all others.
    """

    _esm = module("arithmetic")
    _css = style("arithmetic")

    neuron = traitlets.Dict().tag(sync=True)  # {layer, index, activation, relevance}; {} before anything is clicked.
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)  # The messages, the largest first; see `show`.
    equation = traitlets.Unicode("").tag(sync=True)  # The rule in force, with its numbers: a_j w_jk, R_{j←k}.
    note = traitlets.Unicode("").tag(sync=True)  # Beside the sum: how many rows are shown; without a neuron: why.
    trail = traitlets.List(traitlets.Unicode()).tag(sync=True)  # The neurons visited, the present one last.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the numbers no longer belong to the settings.

    can_filter = traitlets.Bool(False).tag(sync=True)  # Whether there may be a filter of this neuron.
    filtered = traitlets.Unicode("").tag(sync=True)  # The filters in force, in words; "" for none.

    passing = traitlets.Enum(PASSING, "").tag(sync=True, from_browser=True)  # The filter of this neuron, "" for none.
    cleared = traitlets.Int(0, min=0).tag(sync=True, from_browser=True)  # Goes up when `filtered` is to be given up.
    direction = traitlets.Enum(DIRECTIONS, "up").tag(sync=True, from_browser=True)  # Which messages are asked for.
    stepped = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The row to follow, {row, count}; {} for none.
    back = traitlets.Dict({}).tag(sync=True, from_browser=True)  # Where to go back to, {position, count}; {} for none.

    def show(
        self,
        neuron: Mapping[str, Any],
        rows: Iterable[Mapping[str, Any]],
        equation: str,
        note: str,
        *,
        trail: Sequence[str] | None = None,
        direction: str | None = None,
        passing: str | None = None,
        filtered: str = "",
    ) -> None:
        """Show a neuron and its largest messages, in one message.

        neuron: {layer, index: such as "channel 3, row 5, column 7", activation, relevance}.
        rows: {name, a, w, numerator, denominator, share, relevance, message}: a_j, w_jk, R_k and R_{j←k} in the
        field's letters; a number that the rule does not have is left out or None.
        equation, note: text, with _ before a subscript (a_j, R_{j←k}).  trail, direction: None leaves them.
        passing: the filter of this neuron, "keep", "block" or ""; None where there can be none.  filtered: all filters.
        """
        checked = self._neuron(neuron)
        entries = [self._row(index, row) for index, row in enumerate(rows)]
        with self.one_message():
            self.neuron, self.rows = checked, entries
            self.equation, self.note = str(equation), str(note)
            self.stale = False
            self.can_filter, self.passing, self.filtered = passing is not None, passing or "", str(filtered)
            if trail is not None:
                self.trail = [str(name) for name in trail]
            if direction is not None:
                self.direction = direction

    def clear(self, why: str = "") -> None:
        """Show no neuron: the view says how to choose one, or `why` there is none to show."""
        with self.one_message():
            self.neuron, self.rows, self.trail = {}, [], []
            self.equation, self.note, self.stale = "", str(why), False
            self.can_filter, self.passing, self.filtered = False, "", ""

    @staticmethod
    def _neuron(neuron: Mapping[str, Any]) -> dict[str, Any]:
        if neuron.keys() != set(NEURON):
            raise ValueError(
                f"ArithmeticView.show: neuron must have the fields {', '.join(NEURON)}, got {', '.join(neuron)}."
            )
        texts = {name: str(neuron[name]) for name in ("layer", "index")}
        return texts | {name: as_number(neuron[name]) for name in ("activation", "relevance")}

    @staticmethod
    def _row(index: int, row: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(row.keys() - set(ROW))
        if unknown or "name" not in row:
            wrong = f"got {unknown[0]!r}" if unknown else "and 'name' is missing"
            raise ValueError(f"ArithmeticView.show: rows[{index}] must have fields among {', '.join(ROW)}, {wrong}.")
        # A number that is left out does not exist; None stands for infinite or not a number, which JSON does not have.
        numbers = {name: as_number(row[name]) for name in NUMBERS if row.get(name) is not None}
        return {"name": str(row["name"]), **numbers}

    @traitlets.validate("stepped")
    def _check_stepped(self, proposal: Any) -> dict[str, int]:
        return _counted("ArithmeticView.stepped", proposal["value"], "row", len(self.rows))

    @traitlets.validate("back")
    def _check_back(self, proposal: Any) -> dict[str, int]:
        return _counted("ArithmeticView.back", proposal["value"], "position", len(self.trail))


def _counted(owner: str, value: dict[str, Any], place: str, end: int) -> dict[str, int]:
    ends = {place: end, "count": math.inf}
    if value and not (
        value.keys() == ends.keys()
        and all(type(number) is int and 0 <= number < ends[name] for name, number in value.items())
    ):
        raise traitlets.TraitError(f"{owner} must be {{}} or {{{place}, count}} with {place} < {end}, got {value!r}.")
    return value
