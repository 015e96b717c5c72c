"""The box an input lives in: one bound for all, or one a channel."""

from __future__ import annotations

import math
from typing import Any

from lrp_widgets.params import MOST
from lrp_widgets.wording import brief

__all__ = ["Bound", "check_box", "checked_bound"]

Bound = float | tuple[float, ...]
MOST_CHANNELS = 65_536


def checked_bound(owner: str, name: str, value: Any) -> Bound:
    """A bound as a float or a tuple of floats. Raises TypeError or ValueError that names it."""
    plain = value.tolist() if hasattr(value, "tolist") else value  # tensors, arrays and numbers of numpy
    try:
        if isinstance(plain, bool | str) or plain is None:
            raise TypeError
        bound = float(plain) if isinstance(plain, int | float) else tuple(float(v) for v in plain)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{owner}.{name} must be a number or one number per channel, got {brief(value)}.") from None
    values = bound if isinstance(bound, tuple) else (bound,)
    if not values or not all(math.isfinite(v) for v in values):
        raise ValueError(f"{owner}.{name} must be finite, one number or one per channel, got {brief(bound)}.")
    if len(values) > MOST_CHANNELS or max(map(abs, values)) > MOST:
        raise ValueError(
            f"{owner}.{name} must lie between {-MOST:g} and {MOST:g}, for at most {MOST_CHANNELS} channels, "
            f"got {brief(bound)}."
        )
    return bound


def check_box(owner: str, low: Bound, high: Bound) -> None:
    """Raise ValueError where the box does not hold zero, as z^B asks: l ≤ 0 ≤ h, l < h."""
    lows = low if isinstance(low, tuple) else (low,)
    highs = high if isinstance(high, tuple) else (high,)
    if len(lows) > 1 and len(highs) > 1 and len(lows) != len(highs):
        raise ValueError(f"{owner}.low and {owner}.high must be of one length, got {len(lows)} and {len(highs)}.")
    if not all(v <= 0 for v in lows):
        raise ValueError(f"{owner}.low must be at most 0 (the box must hold 0), got {brief(low)}.")
    if not all(v >= 0 for v in highs):
        raise ValueError(f"{owner}.high must be at least 0 (the box must hold 0), got {brief(high)}.")
    width = max(len(lows), len(highs))
    pairs = zip(lows * (width // len(lows)), highs * (width // len(highs)), strict=True)
    if not all(low_one < high_one for low_one, high_one in pairs):
        raise ValueError(f"{owner}.low must be below {owner}.high, got {brief(low)} and {brief(high)}.")
