"""A live LRP explainer for PyTorch, and its dashboard.

The public names stand in `__init__.pyi`. Each is imported when it is first used: an evaluation on a cluster never waits
for the widgets, and `import lrp_widgets` takes no longer than its caller's `import torch`.
"""

import lazy_loader as _lazy_loader

from lrp_widgets.lazy import modules_of as _modules_of

__version__ = "0.2.0"  # the build reads it here

_public, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
_module = _modules_of(__name__)


def __getattr__(name: str) -> object:
    return _public(name) if name in __all__ else _module(name)
