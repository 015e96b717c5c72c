"""Display: shows what the worker of the explore app tells, on the worker's thread."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.apps.explore.events import (
    Cancelled,
    CurveGrew,
    Event,
    Explained,
    ModelExamined,
    PatchesFound,
    Previewed,
    ProjectionSwitched,
    PrototypesClimbed,
)
from lrp_widgets.apps.explore.preview import Preview
from lrp_widgets.apps.explore.stage import Stage
from lrp_widgets.apps.session.app import show_classes
from lrp_widgets.apps.session.formatting import (
    equations,
    findings,
    ledger_rows,
    stamp,
    status,
    subject_text,
)
from lrp_widgets.apps.session.large_maps import show_map
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.apps.session.settings import Settings, existing
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.samples import Samples

__all__ = ["Display"]


class Display(Stage):
    """Events → views: each view gets its part of what an event tells. Explanation and answered settings are kept."""

    explanation = traitlets.Instance(Explanation, allow_none=True)

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self._curve_drawn = -float("inf")  # s, of the clock
        self._painted = False  # whether a browser has painted the first picture
        self._examined = False  # whether the doctor has examined the model
        self._answered: Settings | None = None  # the settings whose explanation is shown
        self._shown: Settings | None = None  # the same, with the layer and the channel of the picture
        self._last: Settings | None = None  # the same, kept while a later explanation fails
        self._working: Settings | None = None  # the settings that the worker explains
        self._cancelled: Settings | None = None  # the settings whose explanation the user has given up
        self._preview_of: Settings | None = None  # the settings whose preview is shown
        super().__init__(explainer, samples)

    def _show(self, event: Event) -> None:
        match event:
            case Previewed(preview):
                self._show_preview(preview)
            case Cancelled():
                self.status.ok("cancelled; any move explains again")
            case Explained(settings, explanation):
                self._show_explanation(settings, explanation)
            case ProjectionSwitched():
                self._show_projection()
            case PatchesFound():
                self.patches.show(event)
            case PrototypesClimbed():
                self.sought.show(event)
            case CurveGrew(curve, band):
                self._show_curve(curve, band)
            case ModelExamined(report):
                self._examined = True
                self.doctor.value = findings(report)

    def _show_preview(self, preview: Preview) -> None:
        """Show an approximate picture: layers, scores and numbers stay until the exact one is there."""
        image = image_of(preview.x[0], self.samples)
        with self._latest.showing:
            self._preview_of = self._working
            show_map(self.heatmap, preview.picture, image, preview.caption + "\n ", description=preview.caption)

    def _show_explanation(self, settings: Settings, explanation: Explanation) -> None:
        self._shown = shown = existing(settings, explanation)
        image = self._show_picture(shown, explanation)
        # The newest target and layer, so that a late answer does not move the choice back.
        show_classes(self.classes, explanation, self.samples, self.settings.target)
        self.layers.show(ledger_rows(explanation), selected=existing(self.settings, explanation).layer)
        self.equation.value = equations(explanation)
        self.composing.show(settings.method, explanation.inputs)
        self.inspection.show(shown, explanation)
        for button in self.region_buttons:
            button.disabled = not self.inspection.has_regions
        self.pins.show(shown, explanation, None if shown.layer else image)
        given_up, self._cancelled = self._cancelled is not None and settings is self._last, None
        self.status.ok(f"{'cancelled: back to what was shown before · ' if given_up else ''}{status(explanation)}")
        self.explanation, self._answered, self._last = explanation, settings, settings

    def _show_picture(self, settings: Settings, explanation: Explanation) -> np.ndarray | None:
        """Show the map of a layer of the explanation, "" for the input; returns the image under it."""
        layer = settings.layer
        picture = self.projection.picture(explanation, layer, settings.channel)
        own_grid = layer and self.projection.field is None
        image = None if own_grid else image_of(explanation.inputs[0], self.samples)
        caption = stamp(explanation)
        description = f"Relevance of {layer or 'the input'} for {subject_text(explanation, self.samples)}. {caption}"
        self.projection.block = show_map(self.heatmap, picture, image, caption, description=description)
        return image

    def _show_projection(self) -> None:
        settings, explanation = self._answered, self.explanation
        if settings is not None and isinstance(explanation, Explanation):
            self._show_picture(existing(settings, explanation), explanation)

    def _show_curve(self, curve: Any, band: Any) -> None:
        self.curve.prepare()
        self.curve.show(curve, band)
        if self._painted:  # the figure starts with its data: a browser that still loads plotly may lose later updates
            self.curve.start()
        self._curve_drawn = time.monotonic()

    def _late(self, settings: Settings) -> None:
        if self._answered is settings or self._cancelled is settings:  # only curves and the like are still made
            return
        self.status.busy(f"explaining by {settings.method.title} …", can_cancel=True)
        views = (self.inspection.channels, self.inspection.arithmetic, self.pins.view)
        for view in views if self._preview_of is settings else (self.heatmap, *views):
            view.stale = True

    def _fail(self, error: BaseException) -> None:
        self._answered = None
        self.heatmap.stale = True
        picture = "The picture is the last one that worked" if self.heatmap.sequence else "There is no picture yet"
        self.status.error(error, f"{picture}; any move tries again.")
