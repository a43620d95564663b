"""Which pages of evidence were measured on today's code; measures the others again.

    python docs/evidence.py                   say which results are stale; exit 0
    python docs/evidence.py --strict          the same; exit 1 if one is
    python docs/evidence.py run [NAME ...]    measure stale ones again, one after the other; finished ones are skipped
    python docs/evidence.py record NAME ...   the results of NAME were made by the code as it is
    python docs/evidence.py adopt             record what is not recorded: made by the commit that last changed it

docs/evidence.toml says what each result is measured on. docs/results/evidence.csv records the commit and a hash of that
code; comments, docstrings and layout do not count. A record also holds the results' hash, so that results changed
without a record show as such.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import io
import shlex
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "docs" / "results" / "evidence.csv"
PLAN = ROOT / "docs" / "evidence.toml"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of evidence: what is measured, on what, and how."""

    name: str
    page: str
    results: tuple[str, ...]
    sources: tuple[str, ...]
    commands: tuple[str, ...]
    needs: str = ""

    @property
    def source_paths(self) -> list[str]:
        """Paths in the repository of the code that is measured."""
        return [one.removeprefix("./") if one.startswith("./") else f"src/myoperf/{one}" for one in self.sources]

    @property
    def result_paths(self) -> list[str]:
        """Paths in the repository of the files that the commands write."""
        return [f"docs/results/{name}" for name in self.results]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a result was measured on."""

    name: str
    page: str
    commit: str
    code: str
    results: str


def read_plan() -> dict[str, Entry]:
    """Return the entries of docs/evidence.toml by name."""
    plan = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    return {
        name: Entry(
            name=name, **{key: tuple(value) if isinstance(value, list) else value for key, value in one.items()}
        )
        for name, one in plan.items()
    }


def read_records() -> dict[str, Record]:
    """Return the records by name; none where there is no file yet."""
    if not RECORDS.is_file():
        return {}
    with RECORDS.open(encoding="utf-8", newline="") as file:
        return {row["name"]: Record(**row) for row in csv.DictReader(file)}


def write_records(records: Mapping[str, Record]) -> None:
    """Write the records in the order of the plan."""
    with RECORDS.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [*Record.__dataclass_fields__], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(records[name]) for name in read_plan() if name in records)


@cache
def meaning(path: str, content: bytes) -> bytes:
    """Return what counts of a file: of Python its statements without docstrings, of anything else its bytes."""
    if not path.endswith(".py"):
        return content
    tree = ast.parse(content)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [
                one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
            ]
    return ast.dump(tree).encode()


def digest(files: Mapping[str, bytes]) -> str:
    """Return a hash of files by path and meaning."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\0".encode() + hashlib.sha256(meaning(path, files[path])).digest())
    return total.hexdigest()[:16]


def files_now(paths: list[str]) -> dict[str, bytes]:
    """Return the files below some paths as they are in the working tree."""
    found = {}
    for path in paths:
        below = [ROOT / path] if (ROOT / path).is_file() else sorted((ROOT / path).rglob("*"))
        found |= {
            str(one.relative_to(ROOT)): one.read_bytes()
            for one in below
            if one.is_file() and "__pycache__" not in one.parts
        }
    return found


def files_at(commit: str, paths: list[str]) -> dict[str, bytes]:
    """Return the files below some paths as they were at a commit; paths that did not exist hold nothing."""
    listed = git("ls-tree", "-r", "--name-only", commit, "--", *paths).split()
    if not listed:
        return {}
    packed = subprocess.run(["git", "archive", commit, *listed], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}  # type: ignore[union-attr]


def git(*words: str) -> str:
    """Return what a command of git prints."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def state(entry: Entry, record: Record | None) -> str:
    """Return ``"fresh"``, or why the result cannot be taken for today's code's."""
    if record is None:
        return "not recorded"
    if digest(files_now(entry.result_paths)) != record.results:
        return "results changed since"
    return "fresh" if digest(files_now(entry.source_paths)) == record.code else "stale"


def record(entry: Entry, commit: str | None = None) -> Record:
    """Return the record of results that were made by the code as it is, or as it was at a commit."""
    code = files_now(entry.source_paths) if commit is None else files_at(commit, entry.source_paths)
    return Record(
        name=entry.name,
        page=entry.page,
        commit=(commit or git("rev-parse", "HEAD"))[:7],
        code=digest(code),
        results=digest(files_now(entry.result_paths)),
    )


def adopt() -> None:
    """Record each result that has no record as made by the commit that last changed it."""
    records = read_records()
    for name, entry in read_plan().items():
        commit = git("log", "-1", "--format=%H", "--", *entry.result_paths)
        if name not in records and commit:
            records[name] = record(entry, commit)
    write_records(records)


def run(entry: Entry) -> None:
    """Run the commands of an entry, fill its page, and record it."""
    for command in entry.commands:
        print(f"{entry.name}: {command}", flush=True)
        program, *words = shlex.split(command)
        start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
        subprocess.run([*start, *words], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "docs/pages.py", entry.page.removesuffix(".md")], cwd=ROOT, check=True)
    write_records({**read_records(), entry.name: record(entry)})


def report(strict: bool) -> None:
    """Print the state of each entry; exit 1 if `strict` and one is stale."""
    records, states = read_records(), {}
    for name, entry in read_plan().items():
        states[name] = state(entry, records.get(name))
        at = f" (measured at {records[name].commit})" if name in records else ""
        print(f"{states[name]:22} {name:20} docs/{entry.page}{at}")
    old = sum(one != "fresh" for one in states.values())
    print(f"{old} of {len(states)} not of today's code." if old else "All are of today's code.")
    if strict and old:
        sys.exit("Run make evidence.")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("report", "run", "record", "adopt"), default="report")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--strict", action="store_true")
    given = parser.parse_args()
    plan = read_plan()
    if unknown := set(given.names) - set(plan):
        parser.error(f"docs/evidence.toml has no {', '.join(sorted(unknown))}")
    if given.what == "report":
        report(given.strict)
    elif given.what == "adopt":
        adopt()
    elif given.what == "record":
        write_records({**read_records(), **{name: record(plan[name]) for name in given.names}})
    else:
        for name, entry in plan.items():
            chosen = name in given.names if given.names else not entry.needs
            if chosen and state(entry, read_records().get(name)) != "fresh":
                run(entry)


if __name__ == "__main__":
    main()
