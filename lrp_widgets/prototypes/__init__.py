"""What does the network look for: inputs that it answers most strongly to, with an expert that keeps them plausible.

objectives say what to make large, experts what is plausible, parameterizations what is moved, transformations what it
must bear, diversity how several differ; ascent climbs.
"""

from lrp_widgets.prototypes import experts, objectives, parameterizations, transformations
from lrp_widgets.prototypes.ascent import ClimbError, Prototypes, ascend, prototype
from lrp_widgets.prototypes.diversity import Diversity

__all__ = [
    "ClimbError",
    "Diversity",
    "Prototypes",
    "ascend",
    "experts",
    "objectives",
    "parameterizations",
    "prototype",
    "transformations",
]
