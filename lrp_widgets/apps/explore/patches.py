"""Patches: the pieces of the samples on which a channel is most active, and the signal that it finds in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np

from lrp_widgets.apps.explore.events import PatchesFound
from lrp_widgets.apps.session.cores import cores_for, is_small
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.engine.trace.model_state import model_state
from lrp_widgets.methods import Patch, stream_patches
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import Gallery, MapsView

__all__ = ["Patches"]

COUNT = 9
BATCH = 32  # inputs at once, of a small network
ROWS = 2  # and of a large one: a newer request waits until they are through
TILE = 54  # px
CHOOSE = "Choose a layer and, under “Channels”, one of its channels: here stand the samples that it answers most."


class Patches:
    """Finds the top patches of the chosen channel, once for each channel, and shows them.

    choose(sample): has one of the samples explained.  is_programmatic(): whether a view changes now because the app
    sets its value, not because the user did.
    """

    def __init__(
        self, explainer: Explainer, samples: Samples, choose: Callable[[int], None], is_programmatic: Callable[[], bool]
    ) -> None:
        self._explainer, self._samples, self._choose = explainer, samples, choose
        self._is_programmatic = is_programmatic
        self._key: Any = None  # of what the page shows; None while that is incomplete
        self._places: list[int] = []
        self.caption = ipywidgets.HTML(CHOOSE)
        self.caption.add_class("lrp-note")
        self.crops = Gallery(thumbnail=TILE, rows=1, description="Top patches: choose one to explain its sample")
        self.signals = MapsView(size=TILE + 8, columns=COUNT, description="What brings them about, by deconvolution")
        self.view = ipywidgets.VBox([self.caption, self.crops, self.signals])
        self.view.add_class("lrp-patches")
        self.crops.observe(lambda change: self._picked(change["new"]), "selected")
        self.signals.observe(lambda change: self._picked(change["new"].get("index", -1)), "picked")

    def of(self, settings: Settings, superseded: Callable[[], bool]) -> Iterator[PatchesFound]:
        """Yields what to show, one after another; ends early when a newer request waits."""
        key = self._key_of(settings)
        if key == self._key:
            return
        self._key = None
        if not settings.layer or settings.channel < 0:
            yield PatchesFound(CHOOSE)
        else:
            name = f"Channel {settings.channel} of {settings.layer}"
            yield PatchesFound(f"{name}: looking through {len(self._samples)} samples …")
            try:
                yield from self._search(settings, name, superseded)
            except (KeyError, ValueError) as error:
                yield PatchesFound(f"{name}: {error.args[0]}")
            if superseded():
                return
        self._key = key

    def _search(self, settings: Settings, name: str, superseded: Callable[[], bool]) -> Iterator[PatchesFound]:
        inputs = self._samples.inputs
        small = is_small(self._explainer.model, inputs[:1])
        with cores_for(self._explainer.model, inputs[:1]):
            for patches in stream_patches(
                self._explainer, inputs, settings.layer, settings.channel, COUNT, batch=BATCH if small else ROWS
            ):
                if superseded():
                    return
                if patches:
                    caption = f"{name}: where it is most active, and the signal there, by deconvolution"
                    yield PatchesFound(caption, patches)

    def show(self, event: PatchesFound) -> None:
        """Show them; to be called on the worker."""
        self.caption.value = event.caption
        patches = event.patches
        self._places = [patch.index for patch in patches]
        size = tuple(max((patch.crop.shape[axis] for patch in patches), default=0) for axis in (1, 2))
        images = [image_of(patch.crop, self._samples) for patch in patches]
        pictures = [image for image in images if image is not None]
        crops = [_framed(image, patch, size, 0.5) for image, patch in zip(pictures, patches, strict=False)]
        signals = [_framed(pooled(patch.signal), patch, size, 0.0) for patch in patches]
        self.crops.show(np.stack(crops) if crops else np.zeros((0, 1, 1)), selected=-1)
        captions = [
            {"title": f"{patch.activation:.3g}", "text": f"sample {patch.index}, row {patch.position[0]}, "
             f"column {patch.position[1]}"} for patch in patches
        ]  # fmt: skip
        self.signals.show(signals, captions)

    def _key_of(self, settings: Settings) -> Any:
        weights = model_state(self._explainer.model).weights
        return settings.layer, settings.channel if settings.layer else -1, weights

    def _picked(self, place: int) -> None:
        if 0 <= place < len(self._places) and not self._is_programmatic():
            self._choose(self._places[place])


def _framed(picture: np.ndarray, patch: Patch, size: tuple[int, ...], ground: float) -> np.ndarray:
    """A patch in a frame of `size`: one that the edge of its input cuts off keeps its place in the whole patch."""
    high, wide = picture.shape[:2]
    top, left, *_ = patch.box
    first = [length - own if at == 0 else 0 for length, own, at in zip(size, (high, wide), (top, left), strict=True)]
    frame = np.full((*size, *picture.shape[2:]), ground, picture.dtype)
    frame[first[0] : first[0] + high, first[1] : first[1] + wide] = picture
    return frame
