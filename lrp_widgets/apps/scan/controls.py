"""The controls of the scan app: photo, class, windows and method of one subject."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import ipywidgets

from lrp_widgets.apps.scan.photos import PhotoSource, photo_of
from lrp_widgets.apps.scan.request import ScanRequest, Windows, range_text
from lrp_widgets.apps.scan.subject import Subject
from lrp_widgets.apps.session.app import against, heading
from lrp_widgets.apps.session.offered import OWN, choices
from lrp_widgets.params import params_of
from lrp_widgets.widgets import Control, MethodPicker
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Controls"]


class Controls(ipywidgets.VBox):
    """The controls of one subject.  change(**fields): called with the fields of the request that the user moves."""

    def __init__(self, subject: Subject, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.subject, self._change = subject, change
        self._bringing = False
        photos, classes = subject.photos, subject.classes()
        self.source = PhotoSource(photos)
        offered = [(name, method) for name, method in choices(photos[0]) if name != OWN]
        self.methods = MethodPicker(offered)
        names = [(photos[0].name(index), index) for index in range(classes)]
        style: dict[str, Any] = {"style": {"description_width": "76px"}, "layout": {"width": "auto"}}
        self.target = guard(
            ipywidgets.Dropdown(
                options=[("top", -1), *names],
                description="class",
                tooltip="What is looked for; top: the class with the highest mean score over the first windows.",
                **style,
            ),
            tell,
        )
        self.against = guard(against(classes, photos[0].name), tell)
        self.windows = {param.name: self._control(param, subject.first.windows) for param in params_of(Windows)}
        super().__init__(
            [
                heading("Photo"), self.source,
                heading("Class"), self.target, self.against, self.windows["only_top"],
                heading("Windows"), *(self.windows[name] for name in ("stride", "window", "sizes")),
                heading("Method"), self.methods, accessible(),
            ]
        )  # fmt: skip
        self.add_class("lrp-left").add_class("lrp-scan-left")
        self.source.observe(lambda event: self._moved(photo=event["new"]), "value")
        self.methods.observe(lambda event: self._moved(method=event["new"]), "value")
        self.target.observe(lambda event: self._moved(target=None if event["new"] < 0 else event["new"]), "value")
        self.against.observe(lambda event: self._moved(against=event["new"]), "value")
        for control in self.windows.values():
            control.observe(self._windows_moved, "value")
        for part in (self.source, self.methods, *self.windows.values()):
            part.observe(lambda event: tell(event["new"]), "problem")
        self.bring(subject.first)

    def bring(self, request: ScanRequest) -> None:
        """Bring the controls to a request; `change` is not called for it."""
        self._bringing = True
        try:
            self.source.value, self.methods.value = request.photo, request.method
            for picker, index in ((self.target, request.target), (self.against, request.against)):
                offered = [each for _, each in picker.options]
                # A class that the model does not have: the map will tell so.
                picker.value = index if index in offered else -1
            for name, control in self.windows.items():
                control.value = getattr(request.windows, name)
        finally:
            self._bringing = False
        self.annotate(request)

    def annotate(self, request: ScanRequest) -> None:
        """Write beside the controls what follows from the request: sizes in pixels of the photo."""
        self.against.disabled = request.target is None
        photo, side = photo_of(request.photo, self.subject.photos), self.subject.side
        sides = request.windows.sides(photo)
        self.windows["window"].note(f"{range_text(sides)} px of {photo.shape[3]} × {photo.shape[2]}")
        steps = [request.windows.stride * length / side for length in sides]
        self.windows["stride"].note(f"px of {side}: {range_text(steps)} of the photo")

    def _control(self, param: Any, windows: Windows) -> Control:
        if param.name == "stride":
            param = dataclasses.replace(param, high=self.subject.side, slider=(1, self.subject.side))
        control = Control(param, getattr(windows, param.name), "Windows")
        if param.name == "window":
            control.inner.readout_format = ".0%"
        return control

    def _windows_moved(self, event: Any) -> None:
        self._moved(windows=Windows(**{name: control.value for name, control in self.windows.items()}))

    def _moved(self, **fields: Any) -> None:
        if not self._bringing:
            self._change(**fields)
