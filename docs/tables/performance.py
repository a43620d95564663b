"""Tables of performance.md."""

from __future__ import annotations

from tables.layout import RESULTS, markdown, read


def threads() -> str:
    """Return how far the numbers of one and of two threads lie apart, relative to the largest number of their kind."""
    if not (RESULTS / "threads.csv").is_file():
        return "Not measured yet: `python benchmarks/threads.py` writes the figures."
    table = read("threads")
    table["relative"] = table["largest_difference"] / table["largest_value"].where(table["largest_value"] > 0, 1.0)
    of_interval = table["number"].str.startswith("interval: ")
    rows = []
    for title, part in (("measured numbers", table[~of_interval]), ("intervals", table[of_interval])):
        worst = part.loc[part["relative"].idxmax()]
        name = str(worst["number"]).removeprefix("interval: ")
        different = name if worst["relative"] > 0 else ""
        rows.append([title, len(part), int(part["n"].sum()), f"{worst['relative']:.1e}", different])
    return markdown(("", "kinds", "numbers", "largest relative difference", "where"), rows)
