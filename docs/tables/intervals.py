"""Table of quality.md: systematic errors of function, which intervals hold beside their draws."""

from __future__ import annotations

from tables.layout import interval, markdown, read


def systematic() -> str:
    """Return the systematic SD of every number, what it is made of, and how many intervals with it hold the truth."""
    rows = []
    for row in read("systematic_errors").to_dict("records"):
        unit = " points" if row["unit"] == "points" else " %"
        rows.append(
            [
                row["number"],
                row["n"],
                f"{row['bias']:+.1f}{unit}",
                f"{row['error_sd']:.1f}{unit}",
                f"{row['drawn_sd']:.1f}{unit}",
                interval(*(row[f"systematic_sd{end}"] for end in ("", "_low", "_high")), ".1f"),
                f"{100 * row['follows_wall']:.0f} %",
                f"{100 * row['follows_valve_plane']:.0f} %",
                f"{100 * row['covered']:.0f} %",
                f"{row['median_width']:.0f}{unit}",
            ]
        )
    head = (
        "number",
        "n",
        "bias",
        "SD of error",
        "SD of draws (median)",
        "systematic SD (95 % interval)",
        "follows the wall",
        "the valve plane",
        "intervals that hold the truth",
        "median width",
    )
    return markdown(head, rows)
