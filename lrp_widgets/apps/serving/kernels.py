"""The kernels of a server, each with a bound on its memory: one that wants more ends alone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psutil
import traitlets
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

__all__ = ["BoundedKernels"]


class BoundedKernels(AsyncMappingKernelManager):
    """Jupyter's manager, which sets the bound on a kernel as soon as its process is there.

    What a process asks for beyond it is refused by the system (RLIMIT_DATA): Python raises MemoryError, torch an error
    that says how much it wanted, and a library that can say neither ends the process. Linux alone has this for a
    process that another one started; elsewhere there is no bound.
    """

    most_memory = traitlets.Int(0, min=0).tag(config=True)  # Bytes; 0 for no bound.

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel. Returns its id."""
        kernel: str = await super().start_kernel(*args, **kwargs)  # type: ignore[misc]
        process = getattr(self.get_kernel(kernel).provisioner, "pid", None)
        if self.most_memory and process and hasattr(psutil, "RLIMIT_DATA"):
            with suppress(psutil.Error, OSError):  # it has ended already; or a bound of the system's own is lower
                psutil.Process(process).rlimit(psutil.RLIMIT_DATA, (self.most_memory, self.most_memory))
        return kernel
