"""LayersView: how relevance flows from the output to the input, and where it is not conserved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, as_number, module, style
from lrp_widgets.widgets.views.heatmap import COLORMAPS

__all__ = ["LayersView"]

NUMBERS = ("out", "in", "positive", "negative", "unexplained")
FIELDS = ("name", "op", *NUMBERS, "absorbed", "moves", "fault")
MOVES = re.compile(  # operations that only move numbers and calculate nothing, such as reshape
    r"\b(view|_unsafe_view|reshape|flatten|unflatten|permute|transpose|t|movedim|squeeze|unsqueeze|expand|slice|select|"
    r"narrow|split|chunk|cat|stack|pad|constant_pad_nd|clone|contiguous|alias|detach|dropout|identity)\b"
)


class LayersView(BrowserWidget):
    """The layerwise flow and the conservation ledger: one row a recorded step, the output on top.

    A bar is the relevance that arrives at a step's output: positive to the right of the zero line, negative to the
    left, and hatched the share that the step absorbs. A row whose ledger does not close says so, in red; of the worst
    one the likely cause stands under the list.
    """

    _esm = module("layers")
    _css = style("layers")

    rows = traitlets.List(traitlets.Dict()).tag(sync=True)  # From the top down; see `show`.
    selected = traitlets.Unicode("").tag(sync=True, from_browser=True)  # The chosen row's name, "" for the input map.
    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True, from_browser=True)  # The hues, as in the heatmap.
    tolerance = Finite(1e-3, min=0)  # What may stay unexplained, as a part of a row's largest number.
    description = traitlets.Unicode("Relevance by layer").tag(sync=True)  # The list's name for assistive technology.

    def show(self, rows: Iterable[Mapping[str, Any]], selected: str | None = None) -> None:
        """Show the ledger, from the output down to the input, in one message.

        rows: {name, op, out, in, positive, negative, absorbed: {cause: number}, unexplained}, numbers being sums of
        relevance; what is left out is 0. `moves=True` marks a step that only moves data (otherwise told by its op).
        `fault` says in words what does not close and the likely cause: a row that has it does not close.
        A last row named "" describes the input map; without one a bare row stands there.
        selected: the chosen row; None keeps the choice where it still exists.
        """
        entries = [self._entry(index, row) for index, row in enumerate(rows)]
        names = {"", *(entry["name"] for entry in entries)}
        if selected is None:
            selected = self.selected if self.selected in names else ""
        with self.one_message():
            self.rows = entries
            self.selected = selected

    @property
    def faults(self) -> list[str]:
        """The names of the rows whose ledger does not close."""
        return [row["name"] for row in self.rows if not row["closes"]]

    def _entry(self, index: int, row: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(row.keys() - set(FIELDS))
        if unknown or "name" not in row:
            wrong = f"got {unknown[0]!r}" if unknown else "and 'name' is missing"
            raise ValueError(f"LayersView.show: rows[{index}] must have fields among {', '.join(FIELDS)}, {wrong}.")
        op = str(row.get("op", ""))
        entry: dict[str, Any] = {"name": str(row["name"]), "op": op}
        entry |= {field: as_number(row.get(field, 0.0)) for field in NUMBERS}
        entry["absorbed"] = {str(cause): as_number(share) for cause, share in row.get("absorbed", {}).items()}
        entry["moves"] = bool(row.get("moves", MOVES.search(op.lower())))
        entry["fault"] = str(row.get("fault", ""))
        entry["closes"] = not entry["fault"] and self._closes(entry)
        return entry

    def _closes(self, entry: Mapping[str, Any]) -> bool:
        numbers = [entry[field] for field in NUMBERS] + list(entry["absorbed"].values())
        if any(number is None for number in numbers):
            return False
        return abs(entry["unexplained"]) <= self.tolerance * max(abs(number) for number in numbers)

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> str:
        if proposal["value"] and all(row["name"] != proposal["value"] for row in self.rows):
            raise traitlets.TraitError(f"LayersView.selected must be a row's name or '', got {proposal['value']!r}.")
        return proposal["value"]
