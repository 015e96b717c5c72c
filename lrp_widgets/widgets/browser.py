"""What the project's own widgets share: their ES modules, and a check of everything that the browser sends."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from lrp_widgets.widgets.turn import TURN

__all__ = ["BrowserWidget", "Finite", "as_bytes", "as_number", "module", "style", "to_uint8"]

STATIC = Path(__file__).parent / "static"
IMPORT = re.compile(r'^import (\{[^}]*\}) from "\.{1,2}/(?:\w+/)?(\w+)\.js";\n', re.MULTILINE)
_FILES = {path.name: path for path in STATIC.rglob("*") if path.suffix in (".js", ".css")}
EXPORT = re.compile(r"^export (?=(?:const|function) (\w+))", re.MULTILINE)


def module(name: str) -> str:
    """The text of static/<name>.js, with the modules that it imports written before it, each in a scope of its own.

    anywidget loads a module from a blob, from where a relative import leads nowhere.
    """
    inlined: list[str] = []

    def inline(statement: re.Match[str]) -> str:
        names, file = statement.groups()
        if file not in done:
            done.add(file)
            text = IMPORT.sub(inline, _read(f"{file}.js"))
            exports = ", ".join(EXPORT.findall(text))
            inlined.append(f"const ${file} = (() => {{\n{EXPORT.sub('', text)}return {{ {exports} }};\n}})();\n")
        return f"const {names} = ${file};\n"

    done = {name}
    own = IMPORT.sub(inline, _read(f"{name}.js"))
    return "".join(inlined) + own


def style(name: str) -> str:
    """The text of static/<name>.css, after the colours and type that all own widgets share."""
    return _read("theme.css") + _read(f"{name}.css")


def _read(file: str) -> str:
    return _FILES[file].read_text(encoding="utf-8")


def as_bytes(value: Any, widget: Any) -> Any:
    """`from_json` of a Bytes trait: what the browser sends arrives as a memoryview.

    Anything else is left for the trait to refuse; bytes() of a large int would fill the memory.
    """
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else value


def as_number(value: Any) -> float | None:
    """A float that JSON can carry: None where it is infinite or not a number."""
    number = float(value)
    return number if math.isfinite(number) else None


def to_uint8(owner: str, image: Any) -> np.ndarray:
    """Pixels for the browser: uint8 as they are, floats in [0, 1] times 255."""
    pixels = np.asarray(image)
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    pixels = pixels.astype(np.float32)
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    if not (low > -1e-3 and high < 1 + 1e-3):  # written so that NaN is refused too
        raise ValueError(f"{owner} must lie in [0, 1], got [{low:.4g}, {high:.4g}]. Rescale it from the input domain.")
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


class Finite(traitlets.Float):
    """A number that is neither infinite nor NaN, within `min` and `max`."""

    def validate(self, obj: Any, value: Any) -> Any:
        number = super().validate(obj, value)
        if not math.isfinite(number):
            raise traitlets.TraitError(f"{type(obj).__name__}.{self.name} must be a finite number, got {number}.")
        return number


class BrowserWidget(anywidget.AnyWidget):
    """An anywidget that takes from the browser only what its traits allow.

    A trait tagged `from_browser=True` may be written there; every other trait is for Python alone.
    A message with a refused value changes nothing: the reason goes to `problem`, the old values back to the browser.
    """

    problem = traitlets.Unicode("")  # Why the browser's last message was refused, "" after a good one; not synced.

    def __init__(self, **kwargs: Any) -> None:
        self._sending = threading.RLock()
        super().__init__(**kwargs)

    @contextmanager
    def one_message(self) -> Iterator[None]:
        """Send whatever is set inside in one message, never mixed with what another thread shows at the same time."""
        with self._sending, self.hold_sync():
            yield

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take a message from the browser: all of it, or nothing.

        Unlike in ipywidgets nothing is echoed, and notifications are not held back:
        holding them would also hold, or roll back, what another thread is showing meanwhile.
        """
        allowed = [name for name in sync_data if self._is_from_browser(name)]
        try:
            values = {name: self._checked(name, value) for name, value in sync_data.items()}
        except (traitlets.TraitError, TypeError, ValueError) as error:
            self.problem = str(error)
            self.send_state(allowed)
            return
        self.problem = ""
        with TURN, self._lock_property(**sync_data):
            for name in sorted(values, key="sequence".__eq__):  # `sequence` last: its observers read the other values
                setattr(self, name, values[name])

    def send_state(self, key: str | Iterable[str] | None = None) -> None:
        # hold_sync passes its own set of names, to which a message from the browser may add while it is being read.
        super().send_state(sorted(key) if isinstance(key, set) else key)

    def _is_from_browser(self, name: str) -> bool:
        return self.has_trait(name) and bool(self.trait_metadata(name, "from_browser"))

    def _checked(self, name: str, value: Any) -> Any:
        if not self._is_from_browser(name):
            raise traitlets.TraitError(f"{type(self).__name__}.{name} cannot be set from the browser.")
        from_json: Callable[[Any, Any], Any] = self.trait_metadata(name, "from_json", self._trait_from_json)
        return self.traits()[name]._validate(self, from_json(value, self))
