"""What a request gets that is refused or fails: one sentence of plain text."""

from __future__ import annotations

from http.client import responses
from typing import Any

from tornado.web import HTTPError, RequestHandler

__all__ = ["PlainErrors"]


class PlainErrors(RequestHandler):
    """In front of a handler of Jupyter's, whose pages of errors need a template that Voila does not set up."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the message of an HTTPError, or with the name of the status; nothing of any other exception."""
        error = kwargs.get("exc_info", (None, None))[1]
        said = error.log_message if isinstance(error, HTTPError) else ""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{said or responses.get(status_code, 'Unknown error')}\n")
