"""Source: where the input comes from: a sample, the drawing pad, a file, or the way from one of these to a sample."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import traitlets

from lrp_widgets.apps.inputs.picture_file import from_file
from lrp_widgets.apps.session.offered import captions, image_of, thumbnails
from lrp_widgets.apps.session.settings import PAD, Given, Morph, Sample
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import DrawingPad, Gallery, Pages, UploadPad
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard
from lrp_widgets.widgets.controls.resettable import Resettable

__all__ = ["Source"]


class Source(ipywidgets.VBox):
    """Gallery, pad and upload as pages; `value` is the sample in force, observe it or set it.

    With `morph` on, a click in the gallery chooses where the present input is led to, and the slider how far.
    """

    value = traitlets.Any(0)
    problem = traitlets.Unicode("")

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._setting = False
        self.gallery, self.pad, self.upload = Gallery(thumbnail=38, rows=2), DrawingPad(), UploadPad()
        self.gallery.show(thumbnails(samples), captions(samples), selected=0)
        self._given: Given | None = None
        pages: dict[str, ipywidgets.Widget] = {"Samples": self.gallery}
        said = {"Samples": "Real inputs", "Draw": "Your own digit", "Upload": "A picture file"}
        shape = tuple(samples.inputs.shape[1:])
        if shape == (1, PAD, PAD):  # the pad draws 28 × 28 in grey
            pages["Draw"] = self.pad
        if "picture" in samples.modality.uploads(samples.inputs):
            pages["Upload"] = self.upload
        self.pages = Pages(pages, said)
        self.pages.buttons.layout.display = None if len(pages) > 1 else "none"
        self.morph = guard(
            ipywidgets.ToggleButton(
                description="morph",
                tooltip="Lead this input towards another sample: choose that one in the gallery, then move the slider.",
                layout={"width": "64px", "flex": "none"},
            ),
            self._tell,
        )
        self.share = guard(
            ipywidgets.FloatSlider(
                0.0, min=0, max=1, step=0.02, readout_format=".0%", layout={"width": "auto"},
                tooltip="How far on the way to the other sample: x = (1 − t) · this + t · the other.",
            ),
            self._tell,
        )  # fmt: skip
        self._way = Resettable(self.share, "Reset to 0 %: this input itself")
        self._way.layout.flex, self._way.layout.visibility = "1 1 auto", "hidden"
        row = ipywidgets.HBox([self.morph, self._way, accessible()])
        super().__init__([self.pages, row])
        self.add_class("lrp-source")
        if not samples.inputs.is_floating_point() or len(samples) < 2:
            row.layout.display = "none"
        self._connect()

    def _connect(self) -> None:
        self.gallery.observe(self._picked, "selected")
        self.pad.observe(self._drawn, "sequence")
        self.upload.observe(self._uploaded, "sequence")
        self.pages.observe(self._switched, "selected")
        self.morph.observe(self._morphed, "value")
        self.share.observe(self._slid, "value")
        for part in (self.gallery, self.pad, self.upload, self.pages):
            part.observe(lambda change: self._tell(change["new"]), "problem")
        self.observe(self._set, "value")

    def _tell(self, problem: str) -> None:
        if problem:
            self.problem = ""  # so that the same mistake twice is told twice
        self.problem = problem

    def _give(self, sample: Sample) -> None:
        self.value = sample

    def _picked(self, change: Any) -> None:
        if self._setting or change["new"] < 0:
            return
        now: Any = self.value
        if self.morph.value:
            start = now.start if isinstance(now, Morph) else now
            share = self.share.value if isinstance(now, Morph) and self.share.value else 0.5
            self._give(Morph(start, change["new"], share))
        else:
            self._give(change["new"])

    def _drawn(self, change: Any) -> None:
        if not self._setting and not self.pad.empty:
            self._give(self.pad.pixels)

    def _uploaded(self, change: Any) -> None:
        if self._setting or not self.upload.content:
            return
        try:
            x, said = from_file(self.upload.content, self.upload.filename, self._samples)
        except (ValueError, TypeError, OSError) as error:
            self.upload.refuse(str(error))
            self._tell(str(error))
            return
        self._given = Given(x.float().cpu().numpy().astype("<f4").tobytes(), tuple(x.shape), said=said)
        self.upload.show(image_of(x[0], self._samples), said)
        self._give(self._given)

    def _switched(self, change: Any) -> None:
        """A page that has an input already explains it again."""
        if self._setting:
            return
        if change["new"] == "Samples" and self.gallery.selected >= 0:
            self._give(self.gallery.selected)
        elif change["new"] == "Draw" and not self.pad.empty:
            self._give(self.pad.pixels)
        elif change["new"] == "Upload" and self._given is not None:
            self._give(self._given)

    def _morphed(self, change: Any) -> None:
        self._way.layout.visibility = "visible" if change["new"] else "hidden"
        if self._setting:
            return
        if change["new"]:
            self.pages.selected = "Samples"
        elif isinstance(self.value, Morph):
            self._give(self.value.start)

    def _slid(self, change: Any) -> None:
        if not self._setting and isinstance(self.value, Morph):
            self._give(Morph(self.value.start, self.value.stop, change["new"]))

    def _set(self, change: Any) -> None:
        """Bring the controls to a value that came from elsewhere (undo, a link)."""
        sample: Any = change["new"]
        self._setting = True
        try:
            self.morph.value = isinstance(sample, Morph)
            if isinstance(sample, Morph):
                self.share.value = sample.share
                self.gallery.selected = sample.stop
                self.pages.selected = "Samples"
            elif isinstance(sample, int):
                self.gallery.selected = sample
                self.pages.selected = "Samples"
            elif isinstance(sample, bytes):
                if sample != self.pad.pixels:
                    self.pad.show(np.frombuffer(sample, np.uint8).reshape(PAD, PAD))
                if "Draw" in self.pages.pages:
                    self.pages.selected = "Draw"
            elif isinstance(sample, Given) and "Upload" in self.pages.pages:
                self._given = sample
                self.pages.selected = "Upload"
        finally:
            self._setting = False
