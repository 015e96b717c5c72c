"""A store: the measured numbers of an evaluation in a file that a crash cannot spoil.

JSON lines, only ever appended to. The first holds what was asked (the fingerprint), lines with "method" or "metric" and
"is" say what a name stands for, all others are numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.evaluation.dataset.measuring import Number

__all__ = ["Store", "fingerprint_of"]

FORMAT = "lrp_widgets evaluation 1"
START = json.dumps({"lrp_widgets": FORMAT})[:-1].encode()


class Store:
    """The numbers in a file, and the file to add more to. Close it, or use it in a `with`.

    question: what must agree with what the file was made for, by name; methods, metrics: the printed form of each name.
    Raises ValueError where the file answers another question, or somebody else is writing to it, and OSError where it
    cannot be opened or written to; what was written before stays.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        question: Mapping[str, Any],
        methods: Mapping[str, str],
        metrics: Mapping[str, str],
    ) -> None:
        self.path = Path(path)
        self.numbers: list[Number] = []
        names = {"method": dict(methods), "metric": dict(metrics)}
        for kind, named in names.items():
            for name, printed in named.items():
                if " at 0x" in printed:
                    raise ValueError(
                        f"A store needs a {kind} that prints itself alike in every process, got {name!r}: {printed}. "
                        "Make it a frozen dataclass, or leave out store=."
                    )
        # Opened without truncating it: the content is read, and its end cut off, only once the lock is held.
        # Without a buffer: what a full disk refuses would be written later, after what came meanwhile.
        try:
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - closed in close()
        except OSError as error:
            raise OSError(
                f"evaluate.store {str(self.path)!r} cannot be opened: {error.strerror}. Give another path."
            ) from None
        try:
            self._lock()
            in_file: dict[str, dict[str, str]] = {"method": {}, "metric": {}}
            if header := self._read(in_file):
                self._compare(header, question, in_file, names)
            else:
                self._write({"lrp_widgets": FORMAT, **question})
            for kind, named in names.items():
                for name in named.keys() - in_file[kind].keys():
                    self._write({kind: name, "is": named[name]})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def add(self, number: Number) -> None:
        """Append a number: from here on, the end of this process does not lose it."""
        value = number.value if math.isfinite(number.value) else str(number.value)
        self._write({**number._asdict(), "value": value})

    def _write(self, line: Mapping[str, Any]) -> None:
        left = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            while left:  # the system may take a part of it
                left = left[self._file.write(left) :]
        except OSError as error:
            with suppress(OSError):  # the part is cut off when the file is opened next
                self._file.truncate(end)
            raise OSError(
                f"evaluate.store {str(self.path)!r} cannot be written to: {error.strerror}. "
                "All numbers before are in it: make room, and the same call goes on from there."
            ) from None

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows has no such lock: two writers are not noticed there
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"evaluate.store {str(self.path)!r} is being written to by another evaluation. Wait for its end."
            ) from None

    def _read(self, in_file: dict[str, dict[str, str]]) -> dict[str, Any] | None:
        """The header and all numbers; what a crash left of a last line is cut off."""
        self._file.seek(0)
        whole = self._file.read()
        end = whole.rfind(b"\n") + 1
        header = None
        for at, line in enumerate(whole[:end].splitlines()):
            try:
                read = json.loads(line)
                if header is None:
                    if read.pop("lrp_widgets") != FORMAT:
                        raise ValueError
                    header = read
                elif "is" in read:
                    kind = "method" if "method" in read else "metric"
                    in_file[kind][read[kind]] = read["is"]
                else:
                    self.numbers.append(Number(**{**read, "value": float(read["value"])}))
            except (ValueError, TypeError, KeyError, AttributeError):
                self._strange(line, at + 1)
        if header is None and not (START.startswith(whole) or whole.startswith(START)):
            # No beginning of a header of ours, which is what a crash may leave: the file stays as it is.
            self._strange(whole, 1)
        self._file.truncate(end)
        return header

    def _strange(self, line: bytes, number: int) -> NoReturn:
        raise ValueError(
            f"evaluate.store {str(self.path)!r} must be a file that lw.evaluate has written, got {line[:60]!r} "
            f"in line {number}. Give another path."
        ) from None

    def _compare(
        self,
        header: Mapping[str, Any],
        asked: Mapping[str, Any],
        in_file: Mapping[str, Mapping[str, str]],
        names: Mapping[str, Mapping[str, str]],
    ) -> None:
        other = [name for name in asked if header.get(name) != asked[name]]
        for kind, named in names.items():
            other += [f"{kind} {name!r}" for name in named if in_file[kind].get(name, named[name]) != named[name]]
        if other:
            differ = "differs" if len(other) == 1 else "differ"
            raise ValueError(
                f"evaluate.store {str(self.path)!r} answers another question: its {', '.join(other)} {differ}. "
                "Give another path, or delete the file to begin anew."
            )


def fingerprint_of(*parts: Any) -> str:
    """A hash of models (architecture and every weight), tensors and anything that prints itself."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, nn.Module):
            digest.update(repr(part).encode())
            for name, tensor in (*part.named_parameters(), *part.named_buffers()):
                digest.update(name.encode() + _bytes(tensor))
        else:
            digest.update(_bytes(part) if isinstance(part, Tensor) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def _bytes(tensor: Tensor) -> bytes:
    plain = tensor.detach().cpu().contiguous()
    return f"{tuple(plain.shape)} {plain.dtype}".encode() + np.asarray(plain.reshape(-1).view(torch.uint8)).tobytes()
