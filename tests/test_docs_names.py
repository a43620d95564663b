"""Names, files, links, commands and options that the pages mention exist."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

import myoperf
from myoperf.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted(path for folder in ("start", "concepts", "howto") for path in (ROOT / "docs" / folder).glob("*.md"))
SITE_ONLY = {"commands.md", "models.md", "api/index.md"}
"""Pages that `make docs` generates (docs/manual_pages.py)."""
TOP = "docs|src|tests|benchmarks|examples"
OPTION = r"(?<![\w-])--[a-z][a-z-]*"


@pytest.fixture(scope="module")
def committed():
    """Files and folders of the repository; new ones count before they are added, ignored ones never."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(line) for line in done.stdout.splitlines()]
    return {str(path) for file in files for path in (file, *file.parents)}


@cache
def defined_in(file):
    """Return the names that a module, and each class in it, defines or imports, without importing it."""
    names = {"": set()}
    todo = [("", node) for node in ast.parse(file.read_text(encoding="utf-8")).body]
    while todo:
        scope, node = todo.pop()
        match node:
            case ast.FunctionDef(name=name):
                names[scope].add(name)
            case ast.ClassDef(name=name):
                names[scope].add(name)
                names[name] = set()
                todo += [(name, below) for below in node.body]
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names[scope] |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign(targets=targets):
                names[scope] |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names[scope].add(name)
            case ast.If(body=body):
                todo += [(scope, below) for below in body]
    return names


def exists(name):
    """Whether a dotted name is a module of the package, or something in one; read from the source, as imports are slow.

    Names of `import myoperf` are looked up where it takes them from.
    """
    folder, *parts = ROOT / "src/myoperf", *name.split(".")[1:]
    while parts and (folder / parts[0]).is_dir():
        folder, *parts = folder / parts[0], *parts[1:]
    if not parts:
        return True
    if (folder / f"{parts[0]}.py").is_file():
        return not parts[1:] or exists_in(folder / f"{parts[0]}.py", parts[1:])
    return exists_in(folder / "__init__.py", parts)


def exists_in(file, parts):
    """Whether a module has a name, and its class that attribute; a class that is imported is looked up by its name."""
    names = defined_in(file)
    if parts[0] not in names[""]:
        return False
    if len(parts) == 1:
        return True
    homes = [names] if parts[0] in names else map(defined_in, sorted((ROOT / "src/myoperf").rglob("*.py")))
    return any(parts[1] in home.get(parts[0], ()) for home in homes)


def unknown_names(text):
    """Dotted names of the package, and attributes of what `import myoperf` offers, that are not there."""
    dotted = set(re.findall(r"\bmyoperf(?:\.[A-Za-z_]\w*)+", text)) - {"myoperf.git"}
    public = "|".join(name for name in myoperf.__all__ if name[0].isupper())
    attributes = {f"myoperf.{name}" for name in re.findall(rf"(?<![\w.])(?:{public})\.[a-z_]\w*", text)}
    return {name for name in dotted | attributes if not exists(name)}


def unknown_paths(text, committed):
    return {path for path in re.findall(rf"(?<![\w./-])((?:{TOP})/[\w./-]*\w)", text) if path not in committed}


def options_of(words):
    """Return the command that words name; None where they name none."""
    command = get_command(app)
    for word in words:
        below = getattr(command, "commands", {})
        if word not in below:
            return None if below else command
        command = below[word]
    return command


def unknown_commands(text):
    """Commands of `myoperf`, and their options, that are not there; words in capitals stand for the user's own."""
    wrong = set()
    for line in re.findall(r"(?:^ {4}(?:\.venv/bin/)?|`)(myoperf [a-z][^`\n#]*)", text, re.MULTILINE):
        words = line.split("  ")[0].split()[1:]
        command = options_of(words)
        if command is None:
            wrong |= set() if "|" in words[-1] and options_of(words[:-1]) else {line}
            continue
        known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help", "--version"}
        wrong |= {f"{line}: {option}" for option in re.findall(OPTION, line) if option not in known}
    return wrong


def unknown_flags(text):
    """Options of committed programs that their source does not have."""
    wrong = set()
    for program, line in re.findall(r"python (benchmarks/[\w/]+\.py|docs/pages\.py)([^`\n]*)", text):
        source = (ROOT / program).read_text(encoding="utf-8") if (ROOT / program).is_file() else ""
        wrong |= {f"{program} {option}" for option in re.findall(OPTION, line) if option not in source}
    return wrong


def broken_links(page, text):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    return {link for link in links if not (page.parent / link).exists() and link.removeprefix("../") not in SITE_ONLY}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_mentions_nothing_that_is_not_there(page, committed):
    text = page.read_text(encoding="utf-8")
    assert not unknown_names(text), "no such name in the package: mend the page"
    assert not unknown_paths(text, committed), "no such file in the repository: mend the page"
    assert not broken_links(page, text), "the link leads nowhere"
    assert not unknown_commands(text), "no such command or option: mend the page"
    assert not unknown_flags(text), "the program has no such option: mend the page"


def test_the_checks_see_what_is_wrong(committed, tmp_path):
    wrong = (
        "`myoperf.quant.rays` `Options.draws_of_intervals` docs/no-page.md [here](gone.md) `myoperf analyse x`\n"
        "    myoperf analyze PATH --colour\n    python benchmarks/house.py --weigh\n"
    )
    assert unknown_names(wrong) == {"myoperf.quant.rays", "myoperf.Options.draws_of_intervals"}
    assert unknown_paths(wrong, committed) == {"docs/no-page.md"}
    assert broken_links(tmp_path / "page.md", wrong) == {"gone.md"}
    assert unknown_commands(wrong) == {"myoperf analyse x", "myoperf analyze PATH --colour: --colour"}
    assert unknown_flags(wrong) == {"benchmarks/house.py --weigh"}


def test_what_is_right_passes(committed):
    right = (
        "`myoperf.pipeline.uncertainty` `Options.interval_draws` docs/quality.md `myoperf normals build|show`\n"
        "    myoperf analyze PATH... [-o DIR] --quiet\n    myoperf train lv --scale smoke    # --other\n"
    )
    assert not unknown_names(right) | unknown_paths(right, committed) | unknown_commands(right) | unknown_flags(right)
