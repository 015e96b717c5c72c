"""Maps of a scan on their way, coarse first: they go on where they stopped, as long as the same is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor

from lrp_widgets.apps.scan.scanning import Scanning, Subject
from lrp_widgets.methods import WindowMap, sliding_window

__all__ = ["Maps"]

BATCH = 32  # windows at once: whoever moves something waits for one batch at most


class Maps:
    """key: what they depend on.  found: the finest so far.  done: whether it is the last."""

    def __init__(
        self,
        subject: Subject,
        photo: Tensor,
        key: Scanning,
        abandoned: Callable[[], bool],
        progress: Callable[[int, int], None],
    ) -> None:
        self.key = key
        self.found: WindowMap | None = None
        self.done = False
        self._began = time.monotonic()
        self._seconds: list[float] = []  # until each map
        self._coming = sliding_window(
            subject.explainer,
            photo,
            key.explained,
            key.method,
            side=subject.side,
            stride=key.windows.stride,
            scales=key.windows.scales(photo, subject.side),
            batch=BATCH,
            only_top=key.windows.only_top,
            abandoned=abandoned,
            progress=progress,
        )

    def finer(self) -> WindowMap:
        """The next map."""
        self.found = next(self._coming)
        self.done = self.found.stride == self.key.windows.stride
        self._seconds.append(time.monotonic() - self._began)
        return self.found

    def said(self) -> str:
        """How many there are by now, and how long they took."""
        assert self.found is not None
        count = f"{len(self._seconds)} maps" if len(self._seconds) > 1 else "1 map"
        parts = [f"{count}, {len(self.found.values):,} windows in {self._seconds[-1]:.1f} s"]
        if len(self._seconds) > 1:
            parts.append(f"the first after {self._seconds[0]:.2f} s")
        if self.found.fallbacks:
            parts.append(f"approximated: {', '.join(self.found.fallbacks)}")
        if not self.done:
            parts.append(f"now every {self.found.stride // 2} px …")
        return " · ".join(parts)
