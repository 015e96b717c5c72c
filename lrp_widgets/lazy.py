"""Modules that are imported when they are first named, so that importing a package costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

__all__ = ["modules_of"]


def modules_of(package: str) -> Callable[[str], ModuleType]:
    """The `__getattr__` (PEP 562) of a package whose modules need no import of their own.

    With it `lw.engine.composites.presets` works after `import lrp_widgets as lw` alone.
    The function that it returns raises AttributeError for a name that is none of the package's modules.
    """

    def __getattr__(name: str) -> ModuleType:
        module = f"{package}.{name}"
        if name.startswith("_") or find_spec(module) is None:  # Python and IPython ask for many a name with underscores
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(module)

    return __getattr__
