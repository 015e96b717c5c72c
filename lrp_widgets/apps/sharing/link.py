"""A state as text: as JSON, or as the query of a link."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from lrp_widgets.apps.sharing.encoding import StateError, abbreviated

__all__ = ["MAX_LINK_LENGTH", "VERSION", "check_version", "from_query", "from_text", "to_query"]

VERSION = 1  # of the format; it stands in every state as "lrp_widgets"
MAX_LINK_LENGTH = 8000  # characters of a query: what servers and proxies let through
MAX_SIZE = 4 * 2**20  # bytes of JSON that are read
MAX_NESTING = 64  # of tables and lists in JSON: a value within 16 others is a table in a table each time
MAX_PARTS = 100_000  # texts, tables, lists and their entries
# Texts are found as well, since a bracket in them is none. Nothing is tried twice: the work is that of one reading.
_PART = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)


def to_query(state: Mapping[str, Any]) -> str:
    """A state as letters, digits, - and _, for a link: JSON, deflated, in base64url.

    Raises StateError where it has more than 8,000 characters, as with an uploaded picture.
    """
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    query = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")
    if len(query) > MAX_LINK_LENGTH:
        raise StateError(
            f"A link may have {MAX_LINK_LENGTH} characters, this state needs {len(query)}. "
            "Its input is too large for a link: save the state as a file."
        )
    return query


def from_query(query: str) -> dict[str, Any]:
    """The state in a link, in its part behind the ?, or in the letters of to_query alone. Raises StateError."""
    text = query.strip().partition("#")[0]
    if "?" in text or "=" in text:
        values = parse_qs(text.rpartition("?")[2]).get("state", [])
        if not values:
            raise StateError(f"A link to a state has ?state=…, got {abbreviated(query)}.")
        text = values[0]
    if len(text) > MAX_LINK_LENGTH:
        raise StateError(f"A link may have {MAX_LINK_LENGTH} characters, got {len(text)}.")
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        decompressor = zlib.decompressobj()
        content = decompressor.decompress(packed, MAX_SIZE)
        if not decompressor.eof:
            raise StateError(f"The state of a link must be whole and at most {MAX_SIZE} bytes. Copy the link again.")
    except (binascii.Error, zlib.error, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError("The state of this link cannot be read: a part of it is missing. Copy it again.") from None
    return _from_json(content)


def from_text(text: str) -> dict[str, Any]:
    """A state out of its JSON, or out of a link with it. Raises StateError."""
    if not text.lstrip().startswith("{"):
        return from_query(text)
    if len(text) > MAX_SIZE:
        raise StateError(f"A state may have {MAX_SIZE} characters, got {len(text)}.")
    return _from_json(text)


def check_version(state: Any) -> dict[str, Any]:
    """A state as a dict. Raises StateError where it is no table of fields, or of another version."""
    if not isinstance(state, Mapping):
        raise StateError(f"A state must be a table of fields, got {abbreviated(state)}.")
    version = state.get("lrp_widgets")
    if type(version) is not int or version != VERSION:
        raise StateError(
            f"State.lrp_widgets must be {VERSION}, the version that is read here, got {abbreviated(version)}. "
            "Is this a state, and of this version of lrp_widgets?"
        )
    return dict(state)


def _check_nesting(text: str) -> None:
    """Raise StateError before anything is made of JSON that is nested too deeply, or of too many parts."""
    depth = parts = 0
    for found in _PART.finditer(text):
        sign = text[found.start()]
        depth += (sign in "[{") - (sign in "]}")
        parts += sign in '[{,"'
        if depth > MAX_NESTING:
            raise StateError("The state is not JSON: it is nested too deeply.")
        if parts > MAX_PARTS:
            raise StateError(f"A state may have {MAX_PARTS} values, this one has more.")


def _from_json(content: str | bytes) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise StateError(f"The numbers of a state must be finite, got {name}.")

    try:
        text = content.decode() if isinstance(content, bytes) else content
        _check_nesting(text)
        return check_version(json.loads(text, parse_constant=refuse))
    except StateError:
        raise
    except (ValueError, RecursionError) as error:  # a JSONDecodeError, bytes that are no text, a number of 5,000 digits
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise StateError(f"The state is not JSON: {reason}.") from None
