"""UploadPad: a file from the visitor's disk or clipboard, and the picture as the network sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, as_bytes, module, style, to_uint8

__all__ = ["UploadPad"]

MOST_BYTES = 6_000_000  # a server closes the connection over a message of 10 MB
LONGEST_NAME = 255


class UploadPad(BrowserWidget):
    """Takes one file, by button, drop or paste, and shows what was made of it, or why nothing was.

    Observe `sequence`: it goes up with each file. Answer with `show` or `refuse`; until then the pad says that it
    is reading. Nothing of the content is looked at here.
    """

    _esm = module("upload")
    _css = style("upload")

    content = traitlets.Bytes(b"").tag(  # The file. It never goes back to a browser, nor into a saved notebook.
        sync=True, from_browser=True, from_json=as_bytes, to_json=lambda value, widget: b""
    )
    filename = traitlets.Unicode("").tag(sync=True, from_browser=True)  # As the browser calls it: any text.
    sequence = traitlets.Int(0, min=0).tag(sync=True, from_browser=True)  # Goes up with each file.
    most_bytes = traitlets.Int(MOST_BYTES, min=1, max=9_000_000).tag(sync=True)  # The largest file that is taken.
    accepted = traitlets.Unicode("PNG, JPEG, WebP or NPY").tag(sync=True)  # The kinds that the pad says it takes.
    endings = traitlets.Unicode(".png,.jpg,.jpeg,.webp,.npy").tag(sync=True)  # What the file dialog offers.
    image = traitlets.Bytes(b"").tag(sync=True)  # The picture as the network sees it: uint8, height × width × channels.
    shape = traitlets.List([0, 0, 1]).tag(sync=True)  # [height, width, channels (1 or 3)] of the picture.
    said = traitlets.Unicode("").tag(sync=True)  # What was done to the file: "cat.jpg: 640 × 480 → …".
    refused = traitlets.Unicode("").tag(sync=True)  # Why the last file was not taken, "" where it was.
    answered = traitlets.Int(0).tag(sync=True)  # Goes up with each answer to a file.
    description = traitlets.Unicode("Upload a picture").tag(sync=True)  # The pad's name for assistive technology.

    def show(self, image: np.ndarray | None, said: str) -> None:
        """Show what was made of the file.

        image: (h, w) or (h, w, c), c 1 or 3, in [0, 1] or uint8, as the network sees it; None where it is no picture.
        said: what was done to the file; words up to the first colon are its name.
        """
        pixels = np.zeros((0, 0, 1), np.uint8) if image is None else to_uint8("UploadPad.show: image", image)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
            raise ValueError(
                "UploadPad.show: image must be (height, width), or with 1 or 3 channels at the end, "
                f"got shape {np.shape(image)}."  # type: ignore[arg-type]
            )
        with self.one_message():
            self.image, self.shape = pixels.tobytes(), list(pixels.shape)
            self.said, self.refused = said, ""
            self.answered += 1

    def refuse(self, reason: str) -> None:
        """Say why the file was not taken; a picture that is shown stays, for the network still has that one."""
        with self.one_message():
            self.refused = reason
            self.answered += 1

    def clear(self) -> None:
        """Forget the file and its picture."""
        with self.one_message():
            self.content, self.filename = b"", ""
            self.show(None, "")

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        super().set_state(sync_data)
        if self.problem:  # the pad in the browser waits for an answer
            self.refuse(self.problem[:300])  # it may quote what was sent

    @traitlets.validate("content")
    def _check_content(self, proposal: Any) -> bytes:
        if len(proposal["value"]) > self.most_bytes:
            raise traitlets.TraitError(
                f"UploadPad.content must be at most {megabytes(self.most_bytes)}, "
                f"got {megabytes(len(proposal['value']))}. Save it with fewer pixels."
            )
        return proposal["value"]

    @traitlets.validate("filename")
    def _check_filename(self, proposal: Any) -> str:
        if len(proposal["value"]) > LONGEST_NAME:
            raise traitlets.TraitError(
                f"UploadPad.filename must be at most {LONGEST_NAME} letters, got {len(proposal['value'])}. Rename it."
            )
        return proposal["value"]


def megabytes(size: int) -> str:
    """A size in MB, rounded up, so that a file just over the limit does not read like one at the limit."""
    return f"{-(-size // 100_000) / 10:g} MB"
