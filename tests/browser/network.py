"""A way to a server that can be cut and mended, as a wireless network is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["Way"]


class Way:
    """Hands on what comes to its own port, as long as it is not cut."""

    def __init__(self, to: int) -> None:
        self._to, self._is_cut = to, False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> None:
        """End every connection, and let none come about."""
        with self._lock:
            self._is_cut = True
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections come about again."""
        with self._lock:
            self._is_cut = False

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    if self._is_cut:
                        near.close()
                        continue
                    far = socket.create_connection(("127.0.0.1", self._to))
                    self._open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _hand_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65_536):
                sink.sendall(part)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @classmethod
    @contextmanager
    def leading_to(cls, port: int) -> Iterator[Way]:
        """A way for the length of a block."""
        way = cls(port)
        thread = threading.Thread(target=way._accept, daemon=True)
        thread.start()
        try:
            yield way
        finally:
            way.cut()
            with suppress(OSError):  # wakes the thread, which close() alone does not
                way._listener.shutdown(socket.SHUT_RDWR)
            way._listener.close()
            thread.join(10)
            for end in way._open:
                end.close()
