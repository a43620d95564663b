"""Count the package's code and draw its import graph.

    python benchmarks/house.py count [--against COMMIT] [--at COMMIT]     lines of code a package; fails unless fewer
    python benchmarks/house.py functions                    functions of over 60 lines of code or over 7 arguments
    python benchmarks/house.py graph [--at COMMIT]          which package imports which, and circles

With ``--write`` the count and the graph go to docs/results/house_*.csv, from which docs/house.md is filled.

A line of code is a line that is left after the same formatter (ruff) and that is neither blank, a comment nor part of
a docstring. Typer commands and compiled kernels may be longer and take more arguments.
"""

from __future__ import annotations

import argparse
import ast
import csv
import io
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
MOST_LINES, MOST_ARGUMENTS = 60, 7
Function = ast.FunctionDef | ast.AsyncFunctionDef


def docstring_lines(tree: ast.AST) -> set[int]:
    """Line numbers of docstrings and of strings that stand alone below an assignment."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def code_lines(text: str) -> set[int]:
    """Line numbers that hold code."""
    skip = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skip:
            held.update(range(token.start[0], token.end[0] + 1))
    return held - docstring_lines(ast.parse(text))


def source_at(commit: str | None) -> Path:
    """Copy the package of the checkout, or of a commit, and format it with today's formatter."""
    folder = Path(tempfile.mkdtemp()) / "src"
    if commit is None:
        subprocess.run(["cp", "-r", str(ROOT / "src"), str(folder)], check=True)
    else:
        packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder.parent, filter="data")
    config = str(ROOT / "pyproject.toml")
    formatter = [sys.executable, "-m", "ruff", "format", "-q", "--config", config]
    subprocess.run([*formatter, str(folder)], check=True)
    return folder / "myoperf"


def count(source: Path) -> Counter[str]:
    """Lines of code of every package or top module."""
    held: Counter[str] = Counter()
    for path in source.rglob("*.py"):
        held[path.relative_to(source).parts[0]] += len(code_lines(path.read_text(encoding="utf-8")))
    return held


def kinds(source: Path) -> Counter[str]:
    """Count lines of code by what they are for: what is left after names and imports is the work itself."""
    held: Counter[str] = Counter()
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        lines = code_lines(text)
        for node in ast.parse(text).body:
            name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
            kind = "lists of public names" if name == "__all__" else ""
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                kind = "deferred annotations"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                kind = "imports"
            held[kind or "the rest"] += len(lines & set(range(node.lineno, (node.end_lineno or 0) + 1)))
    return held


def is_exempt(node: Function) -> bool:
    """Whether a function is a command of typer or compiled by numba."""
    names = ast.dump(ast.Module(body=[ast.Expr(d) for d in node.decorator_list], type_ignores=[]))
    return any(word in names for word in ("'command'", "'callback'", "'kernel'", "njit", "jit", "guvectorize"))


def long_functions(source: Path) -> Iterator[str]:
    """One line for every function that is too long or takes too much."""
    for path in sorted(source.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = code_lines(text)
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, Function) or is_exempt(node):
                continue
            length = len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            number = len([a for a in taken if a.arg not in ("self", "cls")])
            if length > MOST_LINES or number > MOST_ARGUMENTS:
                place = f"{path.relative_to(source)}:{node.lineno}"
                yield f"{place} {node.name}: {length} lines of code, {number} arguments"


def imports(source: Path) -> Counter[tuple[str, str]]:
    """How many imports lead from a package to another, and between the topics of research."""
    arrows: Counter[tuple[str, str]] = Counter()

    def room(parts: tuple[str, ...]) -> str:
        names = parts[:2] if parts[0] == "research" else parts[:1]
        return ".".join(names).removesuffix(".py")

    for path in source.rglob("*.py"):
        start = room(path.relative_to(source).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("myoperf."):
                end = room(tuple(str(node.module).split(".")[1:]))
                if end != start:
                    arrows[start, end] += 1
    return arrows


def circle_of(arrows: Counter[tuple[str, str]]) -> tuple[str, ...]:
    """Return the packages of a circle of imports; nothing where there is none."""
    graph: dict[str, set[str]] = {}
    for start, end in arrows:
        graph.setdefault(start, set()).add(end)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()


def purposes(source: Path) -> Iterator[tuple[str, str]]:
    """Yield every package, module at the top and topic of research with the first line of its docstring."""
    top = [path for path in source.iterdir() if path.name != "__init__.py" and path.suffix in ("", ".py")]
    topics = [path for path in (source / "research").glob("*") if path.name != "__init__.py"]
    for path in sorted([*top, *topics]):
        file = path / "__init__.py" if path.is_dir() else path
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file.is_file() else None
        if text:
            yield ".".join(path.relative_to(source).with_suffix("").parts), text.splitlines()[0]


def write_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table among the results of the pages."""
    with (RESULTS / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([head, *rows])


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("count", "functions", "graph"))
    parser.add_argument("--against", help="commit to compare the count with")
    parser.add_argument("--at", help="commit whose graph is drawn or whose lines are counted, not the files here")
    parser.add_argument("--write", action="store_true", help="write docs/results/house_*.csv for docs/house.md")
    given = parser.parse_args()
    {"count": run_count, "functions": run_functions, "graph": run_graph}[given.what](source_at(given.at), given)


def run_functions(source: Path, _: argparse.Namespace) -> None:
    """Print the functions that are too long; fail if there are any."""
    lines = list(long_functions(source))
    print("\n".join(lines) or "none")
    raise SystemExit(bool(lines))


def run_graph(source: Path, given: argparse.Namespace) -> None:
    """Print the import graph and the first circle in it."""
    arrows = imports(source)
    rows = [(start, end, number) for (start, end), number in sorted(arrows.items())]
    print(*(f"{start} -> {end}: {number}" for start, end, number in rows), sep="\n")
    circle = circle_of(arrows)
    print("circle:", " -> ".join(circle) or "none")
    if given.write:
        write_csv(f"house_graph{'_before' if given.at else ''}", ("package", "imports", "times"), rows)
        if not given.at:
            write_csv("house_packages", ("package", "holds"), purposes(source))


def run_count(source: Path, given: argparse.Namespace) -> None:
    """Print the lines of code; fail unless there are fewer than at the commit to compare with."""
    now = count(source)
    before = count(source_at(given.against)) if given.against else Counter[str]()
    for name in sorted(now | before):
        print(f"{name:<16} {before[name]:>6} {now[name]:>6}" if given.against else f"{name:<16} {now[name]:>6}")
    print(f"{'all':<16} {before.total():>6} {now.total():>6} {now.total() - before.total():+}")
    if given.write:
        today = count(source_at(None))
        rows = [(name, before[name], now[name], today[name]) for name in sorted(now | before | today)]
        rows += [("all", before.total(), now.total(), today.total())]
        write_csv("house_count", ("package", "before", "then", "now"), rows)
        split, old_split = kinds(source), kinds(source_at(given.against))
        split_rows = [(kind, old_split[kind], split[kind], split[kind] - old_split[kind]) for kind in sorted(old_split)]
        write_csv("house_kinds", ("kind", "before", "then", "change"), split_rows)
    raise SystemExit(bool(given.against) and now.total() >= before.total())


if __name__ == "__main__":
    main()
