"""What the tests of the operators share."""

from __future__ import annotations

import lrp_widgets as lw

PLAIN = lw.epsilon(0.0)
