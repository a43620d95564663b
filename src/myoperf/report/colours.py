"""Colour scales of the pictures, each defined by its anchor colours."""

from matplotlib.colors import LinearSegmentedColormap

PERFUSION = LinearSegmentedColormap.from_list(
    "myoperf-perfusion",
    [
        (0.00, "#000000"),
        (0.12, "#17104a"),
        (0.28, "#4a1a9e"),
        (0.42, "#b0187a"),
        (0.55, "#e0302a"),
        (0.70, "#f57a0c"),
        (0.85, "#ffd21e"),
        (1.00, "#ffffff"),
    ],
    N=512,
)
"""Black, blue, violet, red, orange, yellow, white: brightness rises all the way, so it also prints in grey."""

GREY = LinearSegmentedColormap.from_list("myoperf-grey", ["#000000", "#ffffff"], N=512)

DIFFERENCE = LinearSegmentedColormap.from_list(
    "myoperf-difference",
    [(0.0, "#0b5a8a"), (0.25, "#7fb8d8"), (0.5, "#f4f4f2"), (0.75, "#f0a35e"), (1.0, "#b3260f")],
    N=512,
)
"""Blue where stress is higher, white where equal, red where rest is higher (reversible)."""

WEIGHT = LinearSegmentedColormap.from_list(
    "myoperf-weight", [(0.0, "#e8f00000"), (0.35, "#f0c00030"), (1.0, "#e02010d0")], N=256
)
"""Transparent to red: how much a place counts, laid over a grey map."""

VESSEL_COLOURS = {"LAD": "#c8553d", "LCX": "#3d7dc8", "RCA": "#3f9b5b"}
STATE_COLOURS = {"stress": "#ffb454", "rest": "#7cc4ff", None: "#d8d8d8"}
INK = "#1d2430"
