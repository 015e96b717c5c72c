"""The colours of the maps as they are published, and their pixels: written again, apart from the package."""

from __future__ import annotations

import math

# Eleven stops each, from the most negative to the most positive: on a light page, on a dark page.
STOPS = {
    "red-blue": (
        "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
        "9eb0ff 5aa3da 2d7597 1a4256 151a1e 161616 1f1512 501803 8a3f2a c4756a ffacac",
    ),
    "orange-purple": (
        "2d004b 542788 8073ac b2abd2 d8daeb f7f7f7 fee0b6 fdb863 e08214 b35806 7f3b08",
        "d9ccff a48fd9 7359a8 432f6b 211a2e 161616 2a1d0c 5c3a0c 97620f d39a3c ffdfa8",
    ),
    "green-purple": (
        "40004b 762a83 9970ab c2a5cf e7d4e8 f7f7f7 d9f0d3 a6dba0 5aae61 1b7837 00441b",
        "ffcdfd d889ca ad539a 742e64 33172c 161616 232c14 415a1f 62872f 8abc53 befda5",
    ),
    "vik": (
        "001261 023a7a 116496 5697b8 a7c9da ece5e1 e1b8a0 cd8860 b75a26 862306 590008",
        "aedbfb 76b1dd 4687bb 265e8e 223850 161616 4d2d22 87452a b46b4a d99879 f9c8b0",
    ),
    "grey": ("000000 1a1a1a 333333 4d4d4d 666666 808080 999999 b3b3b3 cccccc e6e6e6 ffffff",) * 2,
}
STEPS = 256  # from zero to either end


def rounded(number: float) -> int:
    """To the nearest whole number, halves upwards, as JavaScript rounds."""
    return math.floor(number + 0.5)


def step_of(value: float, low: float, high: float) -> float:
    """The place of a value between the ends of the colours, -1 to 1, in steps; a sign without an end is zero."""
    end = low if value < 0 else high
    return max(-STEPS, min(STEPS, rounded(value * (STEPS / end)))) / STEPS if end else 0.0


def colour(name: str, place: float, dark: bool = False, veiled: bool = False) -> tuple[int, int, int, int]:
    """Red, green, blue and alpha at a place from -1 to 1.

    veiled: as in an overlay, where the hue begins at 0.45 and ends at 0.7 of the way to the end of the map, and alpha
    is |place| to the power of 0.6.
    """
    stops = [bytes.fromhex(stop) for stop in STOPS[name][dark and not veiled].split()]
    alpha = abs(place) ** 0.6 if veiled else 1
    if veiled:
        place = math.copysign(0.45 + 0.25 * abs(place), place) if place else 0.0
    at = (place + 1) / 2 * 10
    first = min(9, math.floor(at))
    red, green, blue = (
        rounded(start + (at - first) * (end - start)) for start, end in zip(stops[first], stops[first + 1], strict=True)
    )
    return red, green, blue, rounded(255 * alpha)
