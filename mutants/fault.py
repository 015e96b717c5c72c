"""Fault: a small change to the source that some test must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Fault", "NoLongerApplies"]

SUFFIXES = (".py", ".js")


class NoLongerApplies(Exception):
    """The text that a fault replaces is gone, or is there more than once."""


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, and which tests must fail for it.

    name: the fault in a few words.  place: a file, or a folder in which one file has the text; relative to the root.
    old, new: the text that stands there exactly once, and what it becomes.
    tests: what pytest is called with, separated by spaces.
    survives: where no test can notice the fault, why that is so; such a fault is expected to live.
    """

    name: str
    place: str
    old: str
    new: str
    tests: str
    survives: str = ""

    def file(self, root: Path) -> Path:
        """The file that has the text exactly once. Raises NoLongerApplies where there is none."""
        place = root / self.place
        files = sorted(path for path in place.rglob("*") if path.suffix in SUFFIXES) if place.is_dir() else [place]
        counts = {path: path.read_text(encoding="utf-8").count(self.old) for path in files if path.is_file()}
        if sum(counts.values()) != 1:
            raise NoLongerApplies(
                f"{self.name}: {self.old!r} must stand exactly once in {self.place}, it is there "
                f"{sum(counts.values())} times. Repair the fault in mutants/, or take another one."
            )
        return next(path for path, count in counts.items() if count)
