"""Who may come in: by which name, from which page, and to which kernel."""

from __future__ import annotations

import http.client
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from apps.serving.stub import App, visit, wait_for
from serving import get, kernel_process, kernels
from tornado.httputil import HTTPHeaders
from waiting import run_coroutine
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from lrp_widgets.apps.serving.entrance import FOREIGN, NO_NAME, NO_SUCH, refusal_of
from lrp_widgets.apps.serving.frames import PROTOCOL

NOT_YOURS = "There is no such kernel, or it is another visitor's.\n"


@dataclass
class Request:
    """What the entrance looks at."""

    uri: str
    method: str
    headers: HTTPHeaders

    @property
    def path(self) -> str:
        return self.uri.partition("?")[0]


def request(uri: str = "/", method: str = "GET", host: str = "127.0.0.1:8866", **headers: str) -> Any:
    """A request; the name of a header has _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(uri, method, HTTPHeaders({"Host": host, **named}))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8866", "localhost:1", "LocalHost", "[::1]:8866", "127.9.9.9", "class.example.org:443"],
)
def test_the_names_of_the_server(host):
    assert refusal_of(request(host=host), {"class.example.org"}) is None


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8866", "192.168.0.1"),
        *("0.0.0.0", "[::2]", "class.example.org.", "a@127.0.0.1", "127.0.0.1:", "127.0.0.1:123456", "[::1"),
    ],
)
def test_any_other_name_is_refused(host):
    assert refusal_of(request(host=host), {"class.example.org"}) == (403, NO_NAME)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/?state=abc", "/voila/static/voila.js", "/voila/templates/lab/static/voila-style.js"),
        "/voila/labextensions/%40jupyter-widgets/jupyterlab-manager/static/1.0.js?v=2",
        "/voila/labextensions/@voila-dashboards/widgets-manager8/static/a~b.js",
        "/api/kernels/0a-1b-2c-3d-4e/channels?session_id=1",
        *(
            "/api/kernels/0a-1b-2c-3d-4e",
            "/voila/api/shutdown/0a-1b-2c-3d-4e",
            "/voila/api/themes/@jupyterlab/theme.css",
        ),
    ],
)
def test_what_there_is(path):
    assert refusal_of(request(path), ()) is None


@pytest.mark.parametrize(
    "path",
    [
        *("//", "/x", "/voila/files/a.png", "/voila/templates/x", "/voila/templates/lab/static/../../a", "/login"),
        *("/voila/static/%00", "/voila/static/%2e%2e/a", "/voila/static/a%2f..%2fb", "/voila/static/\u00e9", "/%ff"),
        *("/voila/query/0a-1b-2c-3d-4e", "/api/kernels", "/api/kernels/1", "/voila/static/", "/voila/templates/a/b/c"),
        *("/api/kernels/0a-1b-2c-3d-4e/restart", "*", "", "/voila/static/a\\b", "/lrp_widgets/status/"),
    ],
)
def test_any_other_path_is_refused(path):
    assert refusal_of(request(path), ()) == (403, NO_SUCH)


def test_a_long_address_is_refused():
    assert refusal_of(request("/?state=" + "a" * 15_992), ()) is None
    assert refusal_of(request("/?state=" + "a" * 15_993), ()) == (414, "An address may have 16000 characters.")


CLICKED = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document", "Sec_Fetch_User": "?1"}


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a script
        {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Dest": "script", "Origin": "http://127.0.0.1:8866"},
        {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
        {"Sec_Fetch_Site": "cross-site", **CLICKED},
        {"Origin": "http://127.0.0.1:8866"},
        {"Referer": "http://127.0.0.1:8866/?state=1"},
    ],
)
def test_the_apps_own_page_and_a_click_come_in(headers):
    assert refusal_of(request(**headers), ()) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},  # another port
        {"Sec_Fetch_Site": "cross-site", **CLICKED, "Sec_Fetch_Dest": "iframe"},
        {"Sec_Fetch_Site": "cross-site", **CLICKED, "Sec_Fetch_User": ""},  # led here by a script
        {"Sec_Fetch_Site": "cross-site", **CLICKED, "Origin": "null", "method": "POST"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "websocket", "Sec_Fetch_Dest": "websocket"},
        *({"Origin": origin} for origin in ("http://evil.example", "null", "http://127.0.0.1:8867", "")),
        {"Referer": "http://evil.example/127.0.0.1:8866"},
        {"Origin": "http://127.0.0.1:8866@evil.example"},
    ],
)
def test_what_another_page_loads_is_refused(headers):
    if headers.get("Origin") == "":
        headers = {"Referer": "http://127.0.0.1:8867/"}
    assert refusal_of(request(**headers), ()) == (403, FOREIGN)


def answer(app: App, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """What the server says to a request with these headers, sent as they are."""
    connection = http.client.HTTPConnection(app.address.split("/")[2], timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    said = response.status, response.read().decode(), dict(response.headers)
    connection.close()
    return said


@pytest.mark.slow
def test_other_pages_start_no_kernel(app: App):
    wait_for(lambda: len(kernels(app.process)) >= 2, "kernels are kept ready")
    before = kernels(app.process)
    for _ in range(12):
        assert answer(app, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="image")[:2] == (403, FOREIGN + "\n")
        assert answer(app, "/", Host="evil.example")[:2] == (403, NO_NAME + "\n")
    assert kernels(app.process) == before
    status, page, headers = answer(
        app, "/?state=a", **{**CLICKED, "Sec_Fetch_User": "", "Sec_Fetch_Site": "cross-site"}
    )
    assert status == 403 and '<a href="">Open the app</a>' in page
    assert "script-src" not in headers["Content-Security-Policy"]  # default-src 'none'
    assert kernels(app.process) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        *("/voila/templates/x", "/voila/templates/a/b/c", "/voila/static/%00", "/%00", "/%ff", "/voila/static/%c3%28"),
        *(
            "/voila/labextensions/%00",
            "/voila/api/themes/%00",
            "/?theme=%ff%00",
            "/?" + "a=1&" * 2000,
            "/voila/static/x",
        ),
        *("/api/kernels/0-0-0-0-0", "/api/kernels/0-0-0-0-0/channels", "//x", "/voila/api/shutdown/0-0-0-0-0", "*"),
    ],
)
def test_a_malformed_address_leaves_no_traceback(app: App, path):
    before = app.log.read_text().count("Traceback")
    for method in ("GET", "POST", "HEAD", "DELETE", "NONE"):
        if not (path.startswith("/?") and method == "GET"):
            assert answer(app, path, method)[0] in (200, 400, 403, 404, 405)
    assert app.log.read_text().count("Traceback") == before


@pytest.mark.slow
def test_a_kernel_is_its_visitors_alone(app: App):
    guest, other = visit(app.address), visit(app.address)
    assert guest.kernel != other.kernel
    for cookie in ("", other.cookie, guest.cookie[:-9] + 'x"', "lrp_widgets-8866=x"):
        for method, path in (("GET", "api/kernels/"), ("DELETE", "api/kernels/"), ("POST", "voila/api/shutdown/")):
            assert answer(app, f"/{path}{guest.kernel}", method, Cookie=cookie)[:2] == (404, NOT_YOURS)
        address = f"{app.address.replace('http', 'ws')}api/kernels/{guest.kernel}/channels?session_id=a"
        assert run_coroutine(_refused(address, cookie)) == (404, NOT_YOURS)
    assert answer(app, f"/api/kernels/{guest.kernel}", Cookie=guest.cookie)[0] == 200
    assert answer(app, f"/voila/api/shutdown/{guest.kernel}", "POST", Cookie=guest.cookie)[0] == 204
    assert answer(app, f"/api/kernels/{guest.kernel}", Cookie=guest.cookie)[0] == 404


async def _refused(address: str, cookie: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        await connect(address, subprotocols=[Subprotocol(PROTOCOL)], additional_headers={"Cookie": cookie})
    return caught.value.response.status_code, caught.value.response.body.decode()


@pytest.mark.slow
def test_a_kernel_that_no_page_connects_to_ends(app: App):
    guest = visit(app.address)
    assert answer(app, f"/api/kernels/{guest.kernel}", Cookie=guest.cookie)[0] == 200
    wait_for(lambda: _is_gone(app, guest.kernel), "the kernel of a page that never came ends", seconds=60)


def _is_gone(app: App, kernel: str) -> bool:
    # Looked up among the processes, since asking the server for it would be a sign of life.
    return kernel_process(kernel, below=app.process.pid) is None


@pytest.mark.slow
def test_the_page_says_what_it_may_run(app: App):
    status, _, headers = answer(app, "/")
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert status == 200
    assert policy["script-src"] == "'self' 'unsafe-inline' 'unsafe-eval' blob:"
    assert policy["script-src-attr"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    with urllib.request.urlopen(app.address) as page:
        (cookie,) = [line for line in page.headers.get_all("Set-Cookie") if line.startswith("lrp_widgets-")]
    assert "httponly" in cookie.lower() and "samesite=lax" in cookie.lower()
    assert get(app.address + "voila/static/voila.js")[0] == 200
