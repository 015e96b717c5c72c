"""How much memory an explainer may take beyond its model."""

from __future__ import annotations

__all__ = ["MemoryBudget"]


class MemoryBudget:
    """How many bytes the modified and packed weights of one explainer may take.

    None are taken before the first run has shown how large the activations are: with these, their denominators and the
    relevances, an explainer should not keep more than LIMIT beyond the model.
    """

    LIMIT = 250 * 2**20

    def __init__(self) -> None:
        self.left = 0
        self.taken = 0

    def beside(self, activations: int) -> None:
        """Give what five times the bytes of the layers' answers leave of the limit."""
        self.left = max(0, self.LIMIT - 5 * activations - self.taken)

    def take(self, bytes_: int) -> bool:
        """Whether so many more may be kept."""
        if bytes_ > self.left:
            return False
        self.left -= bytes_
        self.taken += bytes_
        return True
