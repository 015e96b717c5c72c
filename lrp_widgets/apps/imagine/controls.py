"""The controls of the imagine app: what is looked for, what keeps it plausible, and how it is climbed to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import ipywidgets

from lrp_widgets.apps.imagine.material import CODE, NONE, Material
from lrp_widgets.apps.imagine.request import Aim, ClimbSettings, ImagineSettings
from lrp_widgets.apps.session.app import heading
from lrp_widgets.apps.session.offered import captions, thumbnails
from lrp_widgets.params import params_of
from lrp_widgets.widgets import Control, Folded, Gallery
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard

__all__ = ["ImagineControls"]

MOST_CLASSES = 25_000  # offered by name
STYLE: dict[str, Any] = {"style": {"description_width": "76px"}, "layout": {"width": "auto"}}
EXPERT, IMAGE = "What keeps the prototypes plausible: log p(x) is added to what is made large.", "What the climb moves."


class ImagineControls(ipywidgets.VBox):
    """Every control is an attribute, or stands in `climb` by the name of its setting.

    change(settings): called with new settings when the user moves something.  tell: takes the text of an error.
    """

    def __init__(
        self, material: Material, first: ImagineSettings, change: Callable[[ImagineSettings], None],
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._material, self._change, self._settings = material, change, first
        self._bringing = False
        classes = min(MOST_CLASSES, material.classes)
        described = {parameter.name: parameter for parameter in params_of(Aim)}
        self.kind = Control(self._kinds(described["kind"]), first.aim.kind, "Aim")
        self.target = self._list(
            "class", [(material.samples.name(i), i) for i in range(classes)], described["target"].help, tell
        )
        names = list(material.layers)
        self.layer = self._list("layer", names, "The layer whose activation is made large.", tell)
        self.layer.value = first.aim.layer or material.compared or (names[0] if names else None)
        self.channel = Control(self._channels(self.layer.value or ""), first.aim.channel, "Aim")
        self.sample = Gallery(thumbnail=38, rows=2, description="The sample that is the direction")
        self.sample.show(thumbnails(material.samples), captions(material.samples), selected=first.aim.sample)
        self.expert = self._list("expert", material.experts, EXPERT, tell)
        self.image = self._list("moved", material.images, IMAGE, tell)
        self.climb = {
            parameter.name: Control(parameter, getattr(first.climb, parameter.name), "ClimbSettings")
            for parameter in params_of(ClimbSettings)
            if parameter.name != "origin"
        }
        for name, control in self.climb.items():
            control.home = getattr(first.climb, name)
        self.origin = Gallery(thumbnail=38, rows=1, description="x₀, the sample to stay near")
        self.origin.show(thumbnails(material.samples), captions(material.samples), selected=first.climb.origin)
        self.more = Folded("more: steps, seed, diversity, staying near a sample", self._more())
        super().__init__(
            [
                heading("What is looked for"), self.kind, self.target, self.layer, self.channel, self.sample,
                heading("What keeps it plausible"), self.expert, self.climb["shell"],
                self.climb["strength"], self.climb["robust"],
                heading("How it is climbed to"), self.climb["count"], self.image, self.climb["decay"],
                self.climb["rate"], self.more, accessible(),
            ]
        )  # fmt: skip
        self.add_class("lrp-left").add_class("lrp-imagine-left")
        self._connect(tell)
        self.bring(first)

    def bring(self, settings: ImagineSettings) -> None:
        """Bring the controls to settings; `change` is not called for it.

        Raises ValueError where a control cannot be brought there.
        """
        self._bringing = True
        try:
            aim, climb = settings.aim, settings.climb
            for picker, value in ((self.target, aim.target), (self.expert, climb.expert), (self.image, climb.image)):
                if value not in _values(picker):
                    raise ValueError(f"There is no {picker.description} {value!r} here.")
            if aim.layer and aim.layer not in _values(self.layer):
                raise ValueError(f"There is no layer {aim.layer!r} here.")
            self.kind.value, self.target.value = aim.kind, aim.target
            if aim.layer:
                self.layer.value = aim.layer
            self._lay_channels(aim.channel)
            self.sample.selected, self.origin.selected = aim.sample, climb.origin
            self.expert.value, self.image.value = climb.expert, climb.image
            for name, control in self.climb.items():
                control.value = getattr(climb, name)
            self._settings = settings
        finally:
            self._bringing = False
        self._arrange()

    def _connect(self, tell: Callable[[str], None]) -> None:
        self.kind.observe(lambda event: self._aimed(kind=event["new"]), "value")
        self.target.observe(lambda event: self._aimed(target=event["new"]), "value")
        self.layer.observe(lambda event: self._aimed(layer=event["new"], channel=0), "value")
        self.channel.observe(lambda event: self._aimed(channel=event["new"]), "value")
        self.sample.observe(lambda event: event["new"] >= 0 and self._aimed(sample=event["new"]), "selected")
        self.expert.observe(lambda event: self._climbed(expert=event["new"]), "value")
        self.image.observe(lambda event: self._climbed(image=event["new"]), "value")
        self.origin.observe(lambda event: event["new"] >= 0 and self._climbed(origin=event["new"]), "selected")
        for name, control in self.climb.items():
            control.observe(lambda event, name=name: self._climbed(**{name: event["new"]}), "value")
        for part in (self.kind, self.channel, self.sample, self.origin, self.more, *self.climb.values()):
            part.observe(lambda event: tell(event["new"]), "problem")

    def _aimed(self, **fields: Any) -> None:
        if self._bringing:
            return
        if fields.get("kind") in ("channel", "sample") and not self._settings.aim.layer and self.layer.value:
            fields["layer"] = self.layer.value
        aim = dataclasses.replace(self._settings.aim, **fields)
        if "layer" in fields:
            self._bringing = True
            try:
                self._lay_channels(aim.channel)
            finally:
                self._bringing = False
        self._move(dataclasses.replace(self._settings, aim=aim))

    def _climbed(self, **fields: Any) -> None:
        if not self._bringing:
            self._move(dataclasses.replace(self._settings, climb=dataclasses.replace(self._settings.climb, **fields)))

    def _move(self, settings: ImagineSettings) -> None:
        self._settings = settings
        self._arrange()
        self._change(settings)

    def _arrange(self) -> None:
        """Only what counts is in sight."""
        aim, climb = self._settings.aim, self._settings.climb
        spoken = {
            self.target: aim.of_class and self._material.classes > 1,
            self.layer: not aim.of_class,
            self.channel: aim.kind == "channel",
            self.sample: aim.kind == "sample",
            self.expert: climb.image != CODE,
            self.climb["shell"]: climb.image == CODE,
            self.climb["strength"]: not climb.shell if climb.image == CODE else climb.expert != NONE,
            self.climb["robust"]: self._material.can_be_turned,
            self.climb["decay"]: climb.image == "Fourier",
            self.image: len(_values(self.image)) > 1,
            self.climb["near"]: climb.image != CODE,
            self.origin: climb.near > 0 and climb.image != CODE,
            self.climb["diversity"]: climb.count > 1 and bool(self._material.compared),
        }
        for part, wanted in spoken.items():
            part.layout.display = None if wanted else "none"
        self.climb["strength"].note("λ ‖z‖² of the code" if climb.image == CODE else "")
        self.climb["diversity"].note(f"likeness at {self._material.compared}" if climb.diversity > 0 else "")

    def _more(self) -> ipywidgets.VBox:
        return ipywidgets.VBox([self.climb[name] for name in ("steps", "seed", "diversity", "near")] + [self.origin])

    def _kinds(self, described: Any) -> Any:
        """The kinds that there are here: without layers no channel, with one output no probability."""
        offered = [
            (kind, label)
            for kind, label in zip(described.choices, described.labels, strict=True)
            if (kind not in ("log-probability", "probability") or self._material.classes > 1)
            and (kind not in ("channel", "sample") or self._material.layers)
        ]
        choices, labels = zip(*offered, strict=True)
        return dataclasses.replace(described, choices=choices, labels=labels, default=choices[0])

    def _channels(self, layer: str) -> Any:
        described = next(parameter for parameter in params_of(Aim) if parameter.name == "channel")
        most = max(1, self._material.layers.get(layer, 1) - 1)
        return dataclasses.replace(described, high=10**9, slider=(0, most))

    def _lay_channels(self, channel: int) -> None:
        """The slider of the channels ends at the last one of the layer."""
        layer = self.layer.value or ""
        most = max(1, self._material.layers.get(layer, 1) - 1)
        self.channel.inner.max = max(most, channel)
        self.channel.value = channel
        self.channel.inner.max = most if channel <= most else channel

    def _list(self, name: str, options: list[Any], tooltip: str, tell: Callable[[str], None]) -> Any:
        return guard(ipywidgets.Dropdown(options=options, description=name, tooltip=tooltip, **STYLE), tell)


def _values(picker: ipywidgets.Dropdown) -> list[Any]:
    return [option[1] if isinstance(option, tuple) else option for option in picker.options]
