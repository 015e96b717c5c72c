"""ShareBar: undo and redo, the link and the Python of what is shown, and the way of a file to the user."""

from __future__ import annotations

from typing import Any

import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, module, style

__all__ = ["ACTIONS", "LONGEST_QUERY", "ShareBar"]

ACTIONS = ("undo", "redo", "save", "stop")
LONGEST_QUERY = 16_000  # characters: twice what a link may have
LARGEST_FILE = 9_000_000  # bytes: a server closes the connection over a message of 10 MB


class ShareBar(BrowserWidget):
    """Buttons for what concerns the whole dashboard; Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y) press the first two.

    Python keeps `state` and `python` up to date, so that a click copies them at once: a browser allows no later.
    Observe `asked` for the other buttons, and `query` for the link that the page was opened with.
    """

    _esm = module("sharebar")
    _css = style("sharebar")

    can_undo = traitlets.Bool(False).tag(sync=True)  # Whether there is something to undo.
    can_redo = traitlets.Bool(False).tag(sync=True)  # Whether there is something to redo.
    state = traitlets.Unicode("").tag(sync=True)  # What a link to this state ends with; "" where it is too long.
    python = traitlets.Unicode("").tag(sync=True)  # The Python that makes what is shown.
    can_save = traitlets.Bool(True).tag(sync=True)  # Whether a page can be made of what is shown.
    offers_page = traitlets.Bool(True).tag(sync=True)  # Whether there is the button that makes a page at all.
    app = traitlets.Unicode("lw.explore").tag(sync=True)  # The function that takes a state in a notebook.
    thing = traitlets.Unicode("this heatmap").tag(sync=True)  # What the Python makes again, in words.
    progress = Finite(None, min=0, max=1, allow_none=True).tag(sync=True)  # Of the page being made; None where none is.
    file = traitlets.Bytes(b"").tag(sync=True)  # The file that `send_file` hands over; empty again after it.
    file_name = traitlets.Unicode("").tag(sync=True)  # What the user finds it under.
    file_sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each file: the browser saves it when it changes.
    scope = traitlets.Unicode("lrp-explore").tag(sync=True)  # Class of the element within which the keys hold.

    asked = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The button pressed last, {action, count}.
    query = traitlets.Unicode("").tag(sync=True, from_browser=True)  # What stands behind the ? of the page's address.

    def send_file(self, name: str, content: str | bytes) -> None:
        """Hand a file to the user, as a download. Raises ValueError where it is too large for one message."""
        data = content.encode() if isinstance(content, str) else content
        if len(data) > LARGEST_FILE:
            raise ValueError(
                f"ShareBar.send_file: {name} must have at most {LARGEST_FILE:,} bytes, got {len(data):,}. "
                "Save it from Python."
            )
        with self.one_message():
            self.file, self.file_name = data, name
            self.file_sequence += 1
        self.file = b""  # it is on its way; a page that is opened later does not save it again

    @traitlets.validate("asked")
    def _check_asked(self, proposal: Any) -> dict[str, Any]:
        asked = proposal["value"]
        whole = asked.keys() == {"action", "count"} and asked["action"] in ACTIONS
        if asked and not (whole and type(asked["count"]) is int and asked["count"] >= 0):
            raise traitlets.TraitError(
                f"ShareBar.asked must be {{action, count}} with one of {', '.join(ACTIONS)}, got {str(asked)[:80]}."
            )
        return asked

    @traitlets.validate("query")
    def _check_query(self, proposal: Any) -> str:
        if len(proposal["value"]) > LONGEST_QUERY:
            raise traitlets.TraitError(
                f"ShareBar.query must have at most {LONGEST_QUERY:,} characters, got {len(proposal['value']):,}."
            )
        return proposal["value"]
