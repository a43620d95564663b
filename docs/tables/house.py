"""Tables of house.md: what lies where, and what imports what."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from tables.layout import markdown, read


def graph(name: str) -> str:
    """Return which package imports which, and one circle of imports if there is any."""
    arrows = read(name).groupby("package")["imports"].apply(list).to_dict()
    rows = [[f"`{package}`", ", ".join(f"`{one}`" for one in imported)] for package, imported in arrows.items()]
    try:
        TopologicalSorter(arrows).prepare()
        circle = "No circle."
    except CycleError as error:
        circle = f"A circle: {' -> '.join(f'`{one}`' for one in reversed(error.args[1]))}."
    return f"{markdown(('package', 'imports'), rows)}\n\n{circle}"


def graph_before() -> str:
    """Return the import graph of version 0.1.0."""
    return graph("house_graph_before")


def graph_now() -> str:
    """Return the import graph as it is."""
    return graph("house_graph")
