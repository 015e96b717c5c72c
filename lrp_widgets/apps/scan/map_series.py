"""MapSeries: the maps of one scan, coarse first; after an interruption it goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor

from lrp_widgets.apps.scan.request import ScanRequest
from lrp_widgets.apps.scan.subject import Subject
from lrp_widgets.methods import WindowMap, sliding_window

__all__ = ["MapSeries"]

BATCH = 32  # windows at once; a newer request waits for one batch at most


class MapSeries:
    """key: what the maps depend on.  finest: the last map so far.  done: whether it is the finest there will be."""

    def __init__(
        self,
        subject: Subject,
        photo: Tensor,
        key: ScanRequest,
        abandoned: Callable[[], bool],
        progress: Callable[[int, int], None],
    ) -> None:
        self.key = key
        self.finest: WindowMap | None = None
        self.done = False
        self._began = time.monotonic()
        self._seconds: list[float] = []  # from the beginning to each map
        self._maps = sliding_window(
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

    def refine(self) -> WindowMap:
        """Compute the next map, which is finer than all before it."""
        self.finest = next(self._maps)
        self.done = self.finest.stride == self.key.windows.stride
        self._seconds.append(time.monotonic() - self._began)
        return self.finest

    def summary(self) -> str:
        """How many maps there are by now, and how long they took."""
        assert self.finest is not None
        count = f"{len(self._seconds)} maps" if len(self._seconds) > 1 else "1 map"
        parts = [f"{count}, {len(self.finest.values):,} windows in {self._seconds[-1]:.1f} s"]
        if len(self._seconds) > 1:
            parts.append(f"the first after {self._seconds[0]:.2f} s")
        if self.finest.fallbacks:
            parts.append(f"approximated: {', '.join(self.finest.fallbacks)}")
        if not self.done:
            parts.append(f"now every {self.finest.stride // 2} px …")
        return " · ".join(parts)
