"""Importing torchvision beside a PyTorch that was built for CPUs: for the benchmarks, and for the tests of peers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

__all__ = ["let_torchvision_import"]


def let_torchvision_import() -> torch.library.Library | None:
    """Make torchvision importable where its compiled part, which is built for CUDA, cannot be loaded.

    Two operators of that part are then declared without being implemented. The declarations live as long as the object
    that is returned; None where nothing had to be declared.
    """
    spec = importlib.util.find_spec("torchvision")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        try:
            for compiled in Path(folder).glob("_C*"):
                torch.ops.load_library(compiled)
        except OSError:
            library = torch.library.Library("torchvision", "DEF")
            for op in ("nms", "qnms"):
                library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            return library
    return None
