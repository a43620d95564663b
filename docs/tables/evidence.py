"""Table of docs/evidence.md: the commit and the hash of the code that each result was measured on."""

from __future__ import annotations

from tables.layout import markdown, read


def records() -> str:
    """Return a row for each result that docs/evidence.toml names."""
    rows = read("evidence", dtype=str)
    return markdown(
        ("result", "page", "commit", "hash of the code"),
        (
            [
                row["name"],
                f"[{row['page'].removesuffix('.md')}]({row['page']})",
                f"`{row['commit']}`",
                f"`{row['code']}`",
            ]
            for row in rows.to_dict("records")
        ),
    )
