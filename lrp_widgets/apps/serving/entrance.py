"""What every request passes before a handler sees it: the server's name, the page it comes from, and the path."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from http.client import responses
from typing import Any
from urllib.parse import unquote, urlsplit

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, RequestHandler

from lrp_widgets.apps.serving.status import STATUS_PATH

__all__ = ["PLAIN_PAGE", "Entrance", "Refusal", "refusal_of"]

MOST_IN_URL = 16_000  # characters; a link to a state has half of that
MOST_IN_BODY = 65_536  # bytes; what a page posts is empty
MOST_IN_HEADERS = 65_536

_FILE = r"[\w@.+~-]+(/[\w@.+~-]+)*"
_KERNEL = r"\w+(-\w+){4}"
# All there is. Voila's own patterns take any text, and some of its handlers fail over one that has another form.
PATHS = re.compile(
    rf"/|/voila/(static|labextensions|api/themes)/{_FILE}|/voila/templates/[\w-]+/static/{_FILE}"
    rf"|/voila/api/shutdown/{_KERNEL}|/api/kernels/{_KERNEL}(/channels)?|{STATUS_PATH}|/lrp_widgets/pulse/{_KERNEL}",
    re.ASCII,
)
NO_SUCH = "This server shows one app and nothing beside it."
NO_NAME = "This server is not called so. Whoever starts it can give it this name: --host NAME."
FOREIGN = "Another site may link to this app, but not load it by itself."
PLAIN_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}
<title>lrp_widgets</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ display: grid; min-height: 80vh; place-content: center; padding: 1rem; text-align: center; }}
</style></head><body><main>{body}</main></body></html>
"""


def refusal_of(request: HTTPServerRequest, hosts: Collection[str]) -> tuple[int, str] | None:
    """The status and the sentence that a request is refused with; None where it may come in.

    hosts: names of the server besides those of the loopback address, in lower case.
    A page of another site may lead a person here by a link, but not load anything: a picture, a frame or a script
    there would start a kernel with every request. Browsers say so in Sec-Fetch-…, older ones in Origin and Referer.
    """
    if len(request.uri or "") > MOST_IN_URL:
        return 414, f"An address may have {MOST_IN_URL} characters."
    if not _is_name_of_ours(request.headers.get("Host", ""), hosts):
        return 403, NO_NAME
    path = unquote(request.path)
    if not PATHS.fullmatch(path) or {".", ".."} & {*path.split("/")}:
        return 403, NO_SUCH
    return (403, FOREIGN) if _is_foreign(request) else None


def _is_name_of_ours(host: str, hosts: Collection[str]) -> bool:
    name = re.sub(r":\d{1,5}$", "", host.lower())
    if name == "localhost" or name in hosts:
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _is_foreign(request: HTTPServerRequest) -> bool:
    headers = request.headers
    if site := headers.get("Sec-Fetch-Site"):
        if site in ("same-origin", "none"):  # none: typed in, or a bookmark
            return False
        return not (is_navigation(request) and headers.get("Sec-Fetch-User") == "?1")
    source = headers.get("Origin") or headers.get("Referer")
    return source is not None and urlsplit(source).netloc.lower() != headers.get("Host", "").lower()


def is_navigation(request: HTTPServerRequest) -> bool:
    """Whether a person sees the answer as a page of its own, rather than within another page."""
    headers = request.headers
    return (
        request.method == "GET"
        and headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and headers.get("Sec-Fetch-Dest", "document") == "document"
        and "Origin" not in headers
    )


class Refusal(RequestHandler):
    """Says in a sentence why a request is refused."""

    def initialize(self, status: int, said: str) -> None:
        """status: of HTTP.  said: the sentence."""
        self._status, self._said = status, said

    def prepare(self) -> None:
        """Answer any method. One who was led here without a click is given the link to click."""
        self.set_status(self._status, responses.get(self._status, "Refused"))
        self.set_header("X-Content-Type-Options", "nosniff")
        if self._said == FOREIGN and is_navigation(self.request) and self.request.path == "/":
            self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            self.finish(
                PLAIN_PAGE.format(head="", body='<p>Another page leads here.</p><p><a href="">Open the app</a></p>')
            )
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{self._said}\n")


class Entrance(Router):
    """The application behind its checks. Voila asks it to listen, as it would ask the application."""

    def __init__(self, application: Application, hosts: Collection[str]) -> None:
        self._application, self._hosts = application, hosts
        self.settings = application.settings

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The handler of a request, or the one that refuses it."""
        if refused := refusal_of(request, self._hosts):
            status, said = refused
            return self._application.get_handler_delegate(request, Refusal, {"status": status, "said": said})
        return self._application.find_handler(request, **kwargs)

    def listen(self, port: int, address: str) -> HTTPServer:
        """Listen, with bounds on what one connection may send and on how long it may take."""
        server = HTTPServer(
            self,
            max_body_size=MOST_IN_BODY,
            max_header_size=MOST_IN_HEADERS,
            body_timeout=20,
            idle_connection_timeout=120,
        )
        server.listen(port, address)
        return server
