"""Faults in the browser's part: colours, scales, regions, zoom, numbers."""

from __future__ import annotations

from mutants.fault import Fault

S = "lrp_widgets/widgets/static"
T = "tests/widgets"
BROWSER = f"{T}/test_browser.py"
HEATMAP = f"{T}/views/test_heatmap.py"
REGION = f"{T}/views/test_region.py"
ZOOM = f"{T}/views/test_zoom.py"
PROBE = f"{T}/controls/test_probe.py"

FAULTS = (
    Fault(
        "red and blue are swapped in the colour tables",
        f"{S}/colours.js",
        "[[16, 0], [8, 8], [0, 16]]",
        "[[16, 16], [8, 8], [0, 0]]",
        HEATMAP,
    ),
    Fault(
        "the negative end has the colour of the positive one",
        f"{S}/colours.js",
        "const t = i / HALF - 1;",
        "const t = 1 - i / HALF;",
        HEATMAP,
    ),
    Fault(
        "a dark page has the colours of a light one",
        f"{S}/colours.js",
        "(dark && !veiled ? night : light)",
        "(dark && veiled ? night : light)",
        HEATMAP,
    ),
    Fault(
        "zero is black in a mask's place of the largest",
        f"{S}/colours.js",
        "Math.round(255 * (1 - Math.abs(i / HALF - 1)))",
        "Math.round(255 * Math.abs(i / HALF - 1))",
        HEATMAP,
    ),
    Fault(
        "the percentile is not interpolated",
        f"{S}/raster.js",
        "at % 1 ? low + (at % 1)",
        "at % 1 < 0 ? low + (at % 1)",
        f"{HEATMAP} {BROWSER}",
    ),
    Fault(
        "the percentile counts broken numbers",
        f"{S}/raster.js",
        "bits.length - (sign ? 0 : raster.broken) - 1",
        "bits.length - 1",
        f"{HEATMAP} {BROWSER}",
    ),
    Fault(
        "what is clipped below is not counted",
        f"{S}/raster.js",
        "if (values[i] > most || values[i] < least) count++;",
        "if (values[i] > most) count++;",
        f"{HEATMAP} {BROWSER}",
    ),
    Fault(
        "a locked scale is ignored",
        f"{S}/views/scale.js",
        "locked.length ? locked : [scale || 0, scale || 0]",
        "[scale || 0, scale || 0]",
        HEATMAP,
    ),
    Fault(
        "one scale is that of the positive sign",
        f"{S}/views/scale.js",
        "low = high = Math.max(low, high) || percentileOf(raster, percentile);",
        "low = high = Math.max(low, high) || percentileOf(raster, percentile, 1);",
        HEATMAP,
    ),
    Fault(
        "what is hidden is not said",
        f"{S}/views/scale.js",
        "if (beyond) text +=",
        "if (beyond < 0) text +=",
        HEATMAP,
    ),
    Fault(
        "the browser's region is that of the corners",
        f"{S}/views/region.js",
        "const centre = row + 0.5;",
        "const centre = row;",
        REGION,
    ),
    Fault(
        "the share of a region leaves out what is negative",
        f"{S}/views/region.js",
        "insideSize += size;",
        "insideSize += Math.max(0, value);",
        REGION,
    ),
    Fault(
        "a drawn line keeps every vertex",
        f"{S}/views/region.js",
        "while (kept.length > MOST_VERTICES)",
        "while (kept.length > 100 * MOST_VERTICES)",
        REGION,
    ),
    Fault(
        "a rectangle ends where it began",
        f"{S}/views/region.js",
        "[[left, top], [right, top], [right, bottom], [left, bottom]]",
        "[[left, top], [right, top], [left, bottom], [right, bottom]]",
        REGION,
    ),
    Fault(
        "zooming moves what is under the pointer",
        f"{S}/views/zoom.js",
        "left + x / scale - x / larger",
        "left + x / larger - x / scale",
        ZOOM,
    ),
    Fault(
        "a picture is pushed beyond its end",
        f"{S}/views/zoom.js",
        "const end = 1 - 1 / scale;",
        "const end = 1;",
        ZOOM,
    ),
    Fault(
        "a picture is pushed the other way",
        f"{S}/views/zoom.js",
        "left - right / scale",
        "left + right / scale",
        ZOOM,
    ),
    Fault(
        "negative numbers have no sign",
        f"{S}/numbers.js",
        'value < 0 ? "−"',
        'value < 0 ? ""',
        BROWSER,
    ),
    Fault(
        "a column has one digit too few",
        f"{S}/numbers.js",
        "digits - 1 - power",
        "digits - 2 - power",
        BROWSER,
    ),
    Fault(
        "the cosine is not normalized",
        f"{S}/views/alike.js",
        "ab / Math.sqrt(aa * bb)",
        "ab / (aa * bb)",
        BROWSER,
    ),
    Fault(
        "Pearson's r does not take the mean off",
        f"{S}/views/alike.js",
        "(ab - (a * b) / n)",
        "ab",
        BROWSER,
    ),
    Fault(
        "the difference of two maps has the other sign",
        f"{S}/views/alike.js",
        "value - other.values[index]",
        "other.values[index] - value",
        BROWSER,
    ),
    Fault(
        "a drawn digit is centred by its box",
        f"{S}/controls/mnist.js",
        "SIDE / 2 - centre * scale",
        "SIDE / 2 - ((start + end) / 2) * scale",
        BROWSER,
    ),
    Fault(
        "a picture is moved left where it should go right",
        f"{S}/controls/shifting.js",
        "[Math.floor(-right), Math.floor(-down)]",
        "[Math.floor(right), Math.floor(-down)]",
        PROBE,
    ),
    Fault(
        "a step beyond reach is taken",
        f"{S}/controls/shifting.js",
        "Math.min(most, Math.max(-most, Math.round(value / step)))",
        "Math.max(-most, Math.round(value / step))",
        PROBE,
    ),
    Fault(
        "a gap in a line is bridged",
        f"{S}/views/axes.js",
        'pen = point ? "L" : "M";',
        'pen = "L";',
        f"{T}/views/test_lines.py",
    ),
)
