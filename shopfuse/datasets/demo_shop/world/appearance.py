"""How the demo shop's products look: colours, patterns and shape styles, each with a point in a small space of taste.

Shoppers' tastes are distances in these spaces, so that a model which sees the pixels can generalise over them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# name: red, green, blue, and the words of a shopper
COLOURS = {
    "black": ((34, 34, 36), ("black", "dark")),
    "white": ((236, 236, 232), ("white", "off white")),
    "grey": ((128, 130, 134), ("grey", "gray")),
    "navy": ((28, 40, 92), ("navy", "dark blue")),
    "blue": ((46, 108, 204), ("blue", "azure")),
    "teal": ((22, 138, 134), ("teal", "turquoise")),
    "green": ((58, 140, 62), ("green", "forest green")),
    "mint": ((158, 216, 186), ("mint", "pale green")),
    "yellow": ((238, 200, 44), ("yellow", "mustard")),
    "orange": ((232, 122, 36), ("orange", "tangerine")),
    "red": ((196, 36, 40), ("red", "scarlet")),
    "pink": ((240, 150, 178), ("pink", "rose")),
    "purple": ((116, 62, 152), ("purple", "violet")),
    "brown": ((112, 72, 44), ("brown", "chocolate")),
    "beige": ((214, 190, 156), ("beige", "sand coloured")),
}
COLOUR_NAMES = tuple(COLOURS)
COLOUR_RGB: NDArray[np.uint8] = np.array([rgb for rgb, _ in COLOURS.values()], np.uint8)

# name: calm (-1) .. busy (+1), organic (-1) .. geometric (+1), share of the catalogue, words of a shopper
PATTERNS = {
    "plain": (-1.4, 0.0, 0.34, ("plain", "solid colour")),
    "stripes": (0.1, 0.9, 0.16, ("striped", "stripes")),
    "checks": (0.9, 1.0, 0.14, ("checked", "plaid")),
    "dots": (0.6, -0.4, 0.13, ("dotted", "polka dot")),
    "waves": (0.2, -1.2, 0.12, ("wavy", "waves")),
    "marbled": (1.0, -1.0, 0.11, ("marbled", "mottled")),
}
PATTERN_NAMES = tuple(PATTERNS)
PATTERN_SHARES: FloatArray = np.array([row[2] for row in PATTERNS.values()], np.float32)

# name: angular (-1) .. round .. boxy (+1), slim (-1) .. chunky (+1). Never named in a text: only the image shows it.
STYLES = {
    "faceted slim": (-1.0, -1.0),
    "faceted chunky": (-1.0, 1.0),
    "rounded slim": (0.0, -1.0),
    "rounded chunky": (0.0, 1.0),
    "boxy slim": (1.0, -1.0),
    "boxy chunky": (1.0, 1.0),
}
STYLE_NAMES = tuple(STYLES)


def _colour_points() -> FloatArray:
    """Warmth, lightness and saturation of each colour, standardised: [colours, 3]."""
    rgb = COLOUR_RGB.astype(np.float32) / 255.0
    warmth = rgb[:, 0] - rgb[:, 2]
    lightness = rgb.mean(axis=1)
    saturation = rgb.max(axis=1) - rgb.min(axis=1)
    points = np.stack([warmth, lightness, saturation], axis=1)
    scaled: FloatArray = (points - points.mean(axis=0)) / points.std(axis=0)
    return scaled


COLOUR_POINTS = _colour_points()  # [colours, 3]
PATTERN_POINTS: FloatArray = np.array([row[:2] for row in PATTERNS.values()], np.float32)  # [patterns, 2]
STYLE_POINTS: FloatArray = np.array(list(STYLES.values()), np.float32)  # [styles, 2]
