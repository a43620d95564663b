"""Tables of fuzz.md."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tables.layout import markdown, read_json

KINDS = ("right", "other", "refused", "fault")


def _rows(part: str) -> str:
    rows = read_json("fuzz")[part]
    if len(rows) > 1:
        rows = [*rows, _total(rows)]
    head = ("input", "damaged", *KINDS, "harmless damage read right", "longest, s")
    return markdown(head, (_row(row) for row in rows))


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    harmless = f"{row['harmless_right']} of {row['harmless']}" if row["harmless"] else "-"
    return (row["target"], row["mutants"], *(row[kind] for kind in KINDS), harmless, f"{row['longest_s']:.2f}")


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    summed = ("mutants", *KINDS, "harmless", "harmless_right")
    return {
        "target": "all",
        **{key: sum(row[key] for row in rows) for key in summed},
        "longest_s": max(row["longest_s"] for row in rows),
    }


def read() -> str:
    """Return the table of what was read."""
    return _rows("read")


def analysed() -> str:
    """Return the table of what was analysed."""
    return _rows("analysed")


def damage() -> str:
    """Return how each kind of damage ended, over all inputs that were read."""
    counts: dict[str, Counter[str]] = {}
    for row in read_json("fuzz")["read"]:
        for kind, ends in row["by_damage"].items():
            counts.setdefault(kind, Counter()).update(ends)
    return markdown(("damage", *KINDS), ((kind, *(counts[kind][k] for k in KINDS)) for kind in sorted(counts)))


def causes() -> str:
    """Return the most frequent causes of a refusal, over all inputs."""
    counts: Counter[str] = Counter()
    for row in read_json("fuzz")["read"]:
        counts.update(row["refused_because"])
    rows = ((number, cause.replace("|", "/")) for cause, number in counts.most_common(25))
    return markdown(("times", "code and message (numbers and names left out)"), rows)


def run() -> str:
    """Return how the figures were made."""
    made = read_json("fuzz")
    rows = (
        ("command", f"`{made['command']}`"),
        ("version", made["myoperf"]),
        ("time", f"{made['seconds']:.0f} s on one core that others used too"),
        ("limits while reading", f"{made['limit_s']:.0f} s and {made['limit_gb']:.0f} GB of data a process"),
        ("largest memory while reading", f"{made['peak_mb_reading']} MB, all libraries included"),
        ("largest memory with analyses", f"{made['peak_mb']} MB"),
    )
    return markdown(("", ""), rows)
