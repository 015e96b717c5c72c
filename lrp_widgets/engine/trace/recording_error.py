"""What is raised where a model cannot be recorded, and how a layer is named in a sentence."""

from __future__ import annotations

__all__ = ["LostTokensError", "RecordingError", "layer_in_words"]


class RecordingError(RuntimeError):
    """The model could not be recorded; the message says at which layer and why."""


class LostTokensError(RecordingError):
    """Relevance does not follow what the model makes of its tokens."""


def layer_in_words(path: str) -> str:
    """A layer as a sentence begins with it; "" is the model."""
    return f"The layer {path!r}" if path else "The model itself"
