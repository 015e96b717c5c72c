"""Files of installed packages: real data that is there without a download, read without importing what it lies in."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["file_of"]

DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def file_of(package: str, path: str, reader: str, what: str) -> Path:
    """Where the file `path` of an installed package lies; importing the package for it would take seconds.

    reader, what: who asks and for what, for the message.
    Raises ModuleNotFoundError or FileNotFoundError where it is missing.
    """
    name, spec = DISTRIBUTIONS[package], importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"{reader} reads {what} with {name}, which is not installed: pip install {name}.", name=package
        )
    file = Path(spec.submodule_search_locations[0]) / path
    if not file.is_file():
        raise FileNotFoundError(f"{reader} must find {path} inside {name}, got nothing at {file}. Reinstall {name}.")
    return file
