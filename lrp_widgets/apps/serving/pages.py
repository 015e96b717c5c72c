"""The page of a visit, and the kernel behind it, which nobody but its visitor may use."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from jupyter_server.services.kernels.handlers import KernelHandler
from tornado.web import HTTPError, RequestHandler, authenticated
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler

from lrp_widgets.apps.serving.answers import PlainErrors
from lrp_widgets.apps.serving.entrance import PLAIN_PAGE
from lrp_widgets.apps.serving.kernels import first_is_ready
from lrp_widgets.apps.serving.visits import Visits

__all__ = ["AppPage", "EndOfVisit", "KernelModel", "OwnKernel", "visitor_of"]

# Scripts come from this server or stand in the page; widgets make modules of their own out of text (blob:). No
# attribute of an element is a script. 'unsafe-eval' bars nobody more than 'unsafe-inline' does, which Voila needs, and
# what drives a browser, as Playwright's wait_for_function, cannot do without it.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "script-src-attr 'none'",
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
ASK_AGAIN = 3  # s
NAME = re.compile(r"[0-9a-f]{32}")


def visitor_of(handler: RequestHandler) -> str:
    """The name in the signed cookie of a request, "" where there is none of ours."""
    name = (handler.get_signed_cookie(handler.settings["visitor_cookie"]) or b"").decode(errors="replace")
    return name if NAME.fullmatch(name) else ""


class OfVisitor(RequestHandler):
    """A handler that knows its visitor by a cookie, which scripts cannot read."""

    @property
    def visits(self) -> Visits:
        """All visits of the server."""
        return self.settings["visits"]

    def greet(self) -> str:
        """The name of the visitor, who gets a cookie with a new one where there is none."""
        if name := visitor_of(self):
            return name
        name = secrets.token_hex(16)
        secure = self.request.protocol == "https"
        # Lax: a link on another site leads to the visitor's own visits; nothing else there sends the cookie.
        cookie = self.settings["visitor_cookie"]
        self.set_signed_cookie(cookie, name, expires_days=None, httponly=True, samesite="Lax", secure=secure)
        return name


class OwnKernel(OfVisitor):
    """In front of a handler that acts on a kernel: only for the visitor whose kernel it is."""

    async def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Raise HTTPError for everybody else; whether there is such a kernel is not told."""
        await super().prepare(*args, **kwargs)  # type: ignore[misc]
        kernel = self.path_kwargs.get("kernel_id") or self.path_args[0]
        if not self.visits.owns(visitor_of(self), kernel):
            raise HTTPError(404, "There is no such kernel, or it is another visitor's.")


class KernelModel(OwnKernel, PlainErrors, KernelHandler):
    """What Jupyter tells of a kernel."""


class EndOfVisit(OwnKernel, PlainErrors, VoilaShutdownKernelHandler):
    """A closed tab asks for the end of its kernel."""

    @authenticated
    async def post(self, kernel_id: str) -> None:
        """End it at once: there is nothing in it to be kept, and others wait for its memory."""
        await self.settings["end_visit"](kernel_id)
        self.set_status(204)
        self.finish()


class AppPage(OfVisitor, PlainErrors, TornadoVoilaHandler):  # type: ignore[misc]
    """The page, with a kernel of its own."""

    _kernel = ""
    _name = ""

    @property
    def content_security_policy(self) -> str:
        """What the page may load and run."""
        return CONTENT_SECURITY_POLICY

    @property
    def kernel_manager(self) -> Any:
        """Jupyter's, which tells this handler the kernel that it hands out."""
        return _Attentive(super().kernel_manager, self._begin)

    @authenticated
    async def get(self, path: str | None = None) -> None:
        """Write the page as it is made."""
        self._name = self.greet()
        if place := self.visits.admit(self._name):
            self._queue(place)
            return
        try:
            await first_is_ready(self.settings["kernel_manager"])
            await super().get(path)  # type: ignore[misc]
        finally:
            if self._kernel:
                self.visits.sent(self._kernel)
            else:
                self.visits.failed()

    def _queue(self, place: int) -> None:
        """Write a page that says so, and asks again by itself with the same address."""
        most = self.visits.most
        self.set_status(503)
        self.set_header("Retry-After", str(ASK_AGAIN))
        self.set_header("Cache-Control", "no-store")
        self.finish(
            PLAIN_PAGE.format(
                head=f'<meta http-equiv="refresh" content="{ASK_AGAIN}">',
                body=f"<p>{'The only place is' if most == 1 else f'All {most} places are'} taken.</p>"
                f"<p>You are number <b>{place}</b> in the queue.</p>"
                f"<p>This page asks again every {ASK_AGAIN} s and opens the app as soon as there is room.</p>",
            )
        )

    def _begin(self, kernel: str) -> None:
        self._kernel = kernel
        self.visits.began(self._name, kernel)
        self.settings["kernel_manager"].add_restart_callback(kernel, lambda: self.visits.died(kernel), "dead")

    def on_connection_close(self) -> None:
        """Wait no longer for a page that nobody receives."""
        super().on_connection_close()
        self.visits.sent(self._kernel)

    def on_finish(self) -> None:
        """Forget the address that the page was asked with: Voila keeps it for a notebook that never asks."""
        RequestInfoSocketHandler._cache.pop(self._kernel, None)


class _Attentive:
    """A manager of kernels that says which kernel it hands out, and is otherwise the one it stands for."""

    def __init__(self, manager: Any, began: Callable[[str], None]) -> None:
        self._manager, self._began = manager, began

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)

    async def get_rendered_notebook(self, *args: Any, **kwargs: Any) -> Any:
        """A kernel that was kept ready: it comes last in what Voila gives."""
        result = await self._manager.get_rendered_notebook(*args, **kwargs)
        self._began(result[2])
        return result

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:
        """A new kernel."""
        kernel = await self._manager.start_kernel(*args, **kwargs)
        self._began(kernel)
        return kernel
