"""Photos: large pictures of any size to scan, from the caller, from a gallery or from a visitor's file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from lrp_widgets.apps.inputs.decoding import decoded
from lrp_widgets.apps.inputs.picture_file import in_domain, resized, with_channels
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.apps.session.settings import Given
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import Gallery, Pages, UploadPad
from lrp_widgets.widgets.views.heatmap import MOST_VALUES

__all__ = ["Photo", "PhotoSource", "Photos", "photo_from_file", "photo_of", "photos_of"]

Photos = Samples | Tensor | Sequence[Samples | Tensor]
Photo = int | Given  # one of the photos, or a visitor's
MOST_PIXELS = 1_000_000  # of a visitor's photo; a larger one is reduced
THUMBNAIL = 80  # px


def photos_of(photos: Photos) -> tuple[Samples, ...]:
    """Each photo as Samples of one row, of its own size. Raises TypeError or ValueError that names what is wrong."""
    found = []
    for given in photos if isinstance(photos, list | tuple) else [photos]:
        if not isinstance(given, Samples | Tensor):
            raise TypeError(
                f"scan() needs photos as lw.Samples, tensors or a list of these, got {type(given).__name__}."
            )
        samples = Samples(given) if isinstance(given, Tensor) else given
        if not samples.modality.planar:
            raise ValueError(
                f"scan() needs photos (n, channels, height, width), got shape {tuple(samples.inputs.shape)}. "
                "Add a batch dimension with x[None]."
            )
        height, width = samples.inputs.shape[2:]
        if height * width > MOST_VALUES:
            raise ValueError(
                f"scan() needs photos of at most {MOST_VALUES:,} pixels, got {height}×{width}. "
                'Reduce them with torch.nn.functional.interpolate(x, scale_factor=0.5, mode="area").'
            )
        for row in range(len(samples)):
            label = None if samples.labels is None else torch.as_tensor(samples.labels)[row : row + 1]
            x = samples.inputs[row : row + 1]
            found.append(dataclasses.replace(samples, inputs=x, labels=label))
    if not found:
        raise ValueError("scan() needs at least one photo, got none.")
    return tuple(found)


def photo_of(photo: Photo, photos: Sequence[Samples]) -> Tensor:
    """The photo as the windows are cut from it: (1, channels, height, width)."""
    if isinstance(photo, int):
        return photos[photo].inputs
    values = np.frombuffer(photo.values, "<f4").reshape(photo.shape)
    return torch.from_numpy(values.copy()).to(photos[0].inputs)


def photo_from_file(content: bytes, filename: str, like: Samples) -> Given:
    """A visitor's file as a photo with the channels and the domain of another, reduced where it is very large.

    Raises ValueError that names the file, as `decoded` does, or its channels.
    """
    picture = decoded(content, filename, like)
    height, width = picture.pixels.shape[:2]
    shrink = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    rows, columns = max(1, int(height * shrink)), max(1, int(width * shrink))
    pixels, done = with_channels(resized(picture.pixels, rows, columns), like.inputs.shape[1], picture.name)
    if (rows, columns) != (height, width):
        done = [f"reduced to {columns} × {rows}", *done]
    x, said = in_domain(pixels, like)
    done += said
    words = f"{picture.name}: {picture.said} → {', '.join(done) or 'taken as it is'}"
    return Given(x.float().cpu().numpy().astype("<f4").tobytes(), tuple(x.shape), said=words)


class PhotoSource(ipywidgets.VBox):
    """A gallery of photos, and a pad for a file; `value` is the photo in force, observe it or set it."""

    value = traitlets.Any(0)
    problem = traitlets.Unicode("")

    def __init__(self, photos: Sequence[Samples]) -> None:
        self._photos = photos
        self._setting = False
        self._given: Given | None = None
        self.gallery, self.upload = Gallery(thumbnail=58, rows=2, description="Photos"), UploadPad()
        self.gallery.show(np.stack([_thumbnail(photo.inputs, photo) for photo in photos]), selected=0)
        pages: dict[str, ipywidgets.Widget] = {"Photos": self.gallery}
        if "picture" in photos[0].modality.uploads(photos[0].inputs):
            pages["Upload"] = self.upload
        self.pages = Pages(pages, {"Photos": "What is here to be scanned", "Upload": "A photo of yours, of any size"})
        super().__init__([self.pages])
        self.add_class("lrp-source")
        self.gallery.observe(self._picked, "selected")
        self.upload.observe(self._uploaded, "sequence")
        self.pages.observe(self._turned, "selected")
        for part in (self.gallery, self.upload, self.pages):
            part.observe(lambda change: self._tell(change["new"]), "problem")
        self.observe(self._set, "value")

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake twice is told twice
        self.problem = problem

    def _picked(self, change: Any) -> None:
        if not self._setting and change["new"] >= 0:
            self.value = change["new"]

    def _uploaded(self, change: Any) -> None:
        if self._setting or not self.upload.content:
            return
        like = self._photos[0]
        try:
            self._given = photo_from_file(self.upload.content, self.upload.filename, like)
        except (ValueError, TypeError, OSError) as error:
            self.upload.refuse(str(error))
            self._tell(str(error))
            return
        self.upload.show(_thumbnail(photo_of(self._given, self._photos), like), self._given.said)
        self.value = self._given

    def _turned(self, change: Any) -> None:
        """A page that has a photo already shows it again."""
        if self._setting:
            return
        if change["new"] == "Photos" and self.gallery.selected >= 0:
            self.value = self.gallery.selected
        elif change["new"] == "Upload" and self._given is not None:
            self.value = self._given

    def _set(self, change: Any) -> None:
        """Bring the controls to a value that came from elsewhere."""
        self._setting = True
        try:
            if isinstance(change["new"], Given):
                self._given, self.pages.selected = change["new"], "Upload"
            else:
                self.gallery.selected, self.pages.selected = change["new"], "Photos"
        finally:
            self._setting = False


def _thumbnail(x: Tensor, samples: Samples) -> np.ndarray:
    """The square in the middle, small, in colour."""
    height, width = x.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    small = F.adaptive_avg_pool2d(x[..., top : top + side, left : left + side].nan_to_num().float(), THUMBNAIL)
    picture = image_of(small[0], samples)
    if picture is None:  # of other channels: how bright they are together
        flat = small[0].mean(0)
        picture = ((flat - flat.min()) / (flat.max() - flat.min()).clamp(min=1e-12)).cpu().numpy()
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
