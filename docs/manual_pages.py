"""What `make docs` adds to the pages of docs/: commands, Python's docstrings, model cards, files that pages link to.

A hook of mkdocs (see mkdocs.yml). Nothing here is committed as a page: each build reads it from the package.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evidence
from tables.layout import markdown
from typer.main import get_command

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "myoperf"
PACKAGES = (
    *("io", "recon", "lv", "polar", "perfusion", "gated", "flow"),
    *("quality", "diagnosis", "stats", "report", "pipeline"),
)
LINK = re.compile(r"\]\(((?:\.\./)*)([\w./-]+)(#[\w-]+)?\)")
TABLE, HEAD, CELL = (
    re.compile(pattern, re.DOTALL)
    for pattern in (r"<table>.*?</table>", r"<th\b[^>]*>(.*?)</th>", r"<td\b[^>]*>(.*?)</td>")
)
PROSE = 48
"""A cell of so many characters is prose: beside two other columns, a phone has no room for it."""
CARD_KEYS = (
    *("version", "task", "input", "training_data", "truth_of_real_volumes", "limits", "verdict"),
    *("command", "licence", "sha256"),
)
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")


def public_names(package: str) -> list[str]:
    """Return what a package lists in ``__all__``, without importing it."""
    tree = ast.parse((PACKAGE / package / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [name for name in ast.literal_eval(node.value) if name != "__version__"]
    raise ValueError(f"myoperf.{package} has no __all__.")


def commands(command: Any, words: str = "myoperf") -> Iterator[str]:
    """Yield the pieces of the page on a command of typer's and on all commands below it."""
    below = getattr(command, "commands", {})
    if not below:
        kinds = {
            kind: [one for one in command.params if one.param_type_name == kind] for kind in ("argument", "option")
        }
        arguments = [one.metavar + ("..." if one.nargs == -1 else "") for one in kinds["argument"]]
        usage = f"    {' '.join([words, *arguments, '[OPTIONS]'])}"
        options = [option_row(one) for one in kinds["option"] if one.name != "help" and not one.hidden]
        yield f"## {words}\n\n{usage}\n\n{command.help}\n"
        yield markdown(("option", "default", "what it does"), options) + "\n" if options else ""
    for name, one in sorted(below.items()):
        yield from commands(one, f"{words} {name}")


def option_row(option: Any) -> list[str]:
    """Return an option's row: its names and value, its default, its help."""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = f" `{option.metavar}`" if option.metavar else ""
    default = option.default
    if isinstance(default, bool):
        default = (option.opts if default else [*option.secondary_opts, None])[0]
    shown = "" if default is None or option.required else f"`{default}`"
    return [names + value, "required" if option.required else shown, short(option.help)]


def commands_page() -> str:
    """Return the page of all commands and options."""
    from myoperf.cli.main import app

    head = (
        "# Commands\n\nWhat `myoperf COMMAND --help` shows, in one page. Exit codes: 0 done, 1 finished with failures, "
        "2 bad use or input. `--debug`, anywhere in the line, shows where an error came from; it may quote a patient's "
        "data.\n"
    )
    return "\n".join([head, *commands(get_command(app))])


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each page of docstrings."""
    top = public_names("")
    rows = [["[`myoperf`](myoperf.md)", "what most programs need, under one name"]]
    yield "api/myoperf.md", "\n\n".join(["# myoperf", *(f"::: myoperf.{name}" for name in top)])
    for package in PACKAGES:
        names = [name for name in public_names(package) if name not in top]
        tree = ast.parse((PACKAGE / package / "__init__.py").read_text(encoding="utf-8"))
        summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
        rows.append([f"[`myoperf.{package}`]({package}.md)", summary])
        blocks = (f"::: myoperf.{package}.{name}" for name in names)
        yield f"api/{package}.md", "\n\n".join([f"# myoperf.{package}", summary, *blocks])
    table = markdown(("package", "what it holds"), rows)
    yield (
        "api/index.md",
        "# Python, in full\n\nEvery public name by its docstring; [reference](../reference.md) is a short list.\n\n"
        f"{table}\n",
    )


def models_page() -> str:
    """Return the page of model cards and normal limits in the package."""
    from myoperf.cards import read_card
    from myoperf.perfusion import shipped_limits

    parts = [
        "# Model cards\n\nWeights and normal limits in the package. `myoperf models --json` shows the whole cards. "
        "How well they do: [evidence](evidence.md).\n"
    ]
    for folder in sorted(path for path in (PACKAGE / "weights").iterdir() if path.is_dir()):
        card = read_card(folder)
        rows = [[key.replace("_", " "), short(card[key])] for key in CARD_KEYS if key in card]
        parts.append(f"## {card['name']}\n\n{markdown(('', ''), rows)}\n")
    limits = [[one.name, one.version, one.state, one.sex, one.tracer, one.camera, one.n] for one in shipped_limits()]
    head = ("name", "version", "state", "sex", "tracer", "camera", "patients")
    shown = ([("any" if cell is None else str(cell)) for cell in row] for row in limits)
    parts.append(
        "## Normal limits\n\nAll from simulated normal patients ([perfusion](perfusion.md)).\n\n"
        f"{markdown(head, shown)}\n"
    )
    return "\n".join(parts)


def short(value: object) -> str:
    """Return a card's value for a cell."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def leads_to(page: str, ups: str, path: str) -> Path | None:
    """Return the file of the repository outside docs/ that a link on a page leads to; None where it stays in docs/."""
    target = (ROOT / "docs" / page).parent.joinpath(ups + path).resolve()
    inside = target.is_relative_to(ROOT / "docs") or not target.is_relative_to(ROOT)
    return None if inside or not target.exists() else target.relative_to(ROOT)


def site_path(file: Path) -> str:
    """Return where the site keeps a file of the repository; programs as text, so that a browser shows them."""
    if file.name in ROOT_PAGES:
        return file.name
    return f"files/{file}" + (".txt" if file.suffix in (".py", "") else "")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add generated pages, and the files of the repository that pages link to."""
    from mkdocs.structure.files import File

    pages = {"commands.md": commands_page(), "models.md": models_page(), **dict(api_pages())}
    for name in ROOT_PAGES:
        pages[name] = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    linked = set()
    for file in files.documentation_pages():
        for ups, path, _ in LINK.findall(file.content_string):
            linked.add(leads_to(file.src_uri, ups, path))
    for one in sorted(linked - {None}):
        if one.name not in ROOT_PAGES and (ROOT / one).is_file():
            files.append(File.generated(config, site_path(one), content=(ROOT / one).read_text(encoding="utf-8")))
    return files


def on_page_markdown(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/ to the site's copies, drop links to folders, and show the code of examples."""
    ups_home = "../" * page.file.src_uri.count("/")

    def turn(match: re.Match[str]) -> str:
        outside = leads_to(page.file.src_uri, match[1], match[2])
        return f"]({ups_home}{site_path(outside)}{match[3] or ''})" if outside else match[0]

    text = re.sub(r"\[([^\]]+)\]\([\w./-]+/\)", r"\1", text)
    text = LINK.sub(turn, text)
    text += measured_on(page.file.src_uri)
    if page.file.src_uri == "examples.md":
        text = re.sub(r"^(!\[[^\]]*\]\(images/examples/(\w+)\.png\))$", with_code, text, flags=re.MULTILINE)
    return text


def measured_on(page: str) -> str:
    """Return a section on what the page's results were measured on, and whether the code has changed since."""
    records = evidence.read_records()
    rows = [
        [name, f"`{records[name].commit}`", f"`{records[name].code}`", evidence.state(entry, records[name])]
        for name, entry in evidence.read_plan().items()
        if entry.page == page and name in records
    ]
    head = ("result", "commit", "hash of the code", "when this manual was built")
    return f"\n\n## Measured on\n\n{markdown(head, rows)}\n" if rows else ""


def on_post_page(html: str, page: Page, config: MkDocsConfig) -> str:
    """Load the site's own script for searching without a server; the theme would fetch one from the network."""
    return html.replace(
        "https://unpkg.com/iframe-worker/shim", f"{'../' * page.file.src_uri.count('/')}offline-search.js"
    )


def on_post_template(html: str, template_name: str, config: MkDocsConfig) -> str:
    """Do the same for the page that is shown where there is none."""
    return html.replace("https://unpkg.com/iframe-worker/shim", "offline-search.js")


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a page would load something from the network."""
    from mkdocs.exceptions import PluginError

    for page in sorted(Path(config.site_dir).rglob("*.html")):
        loaded = re.findall(
            r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)"', page.read_text("utf-8")
        )
        if loaded:
            raise PluginError(f"{page.name} loads from the network: {', '.join(loaded)}")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let DOIs in tables break, and mark tables of prose, whose rows site.css shows as cards on a narrow screen."""
    return TABLE.sub(lambda match: re.sub(r"(doi:10\.\d+/)", r"\1<wbr>", as_cards(match[0])), html)


def as_cards(table: str) -> str:
    """Return a table whose cells name their column, if it has three columns or more and prose in one of them."""
    heads = [plain(head) for head in HEAD.findall(table)]
    cells = [plain(cell) for cell in CELL.findall(table)]
    if len(heads) < 3 or max(map(len, cells), default=0) < PROSE:
        return table
    columns = itertools.cycle(heads)
    named = re.sub(r"<td", lambda _: f'<td data-column="{next(columns)}"', table)
    return named.replace("<table>", "<table data-cards>", 1)


def plain(cell: str) -> str:
    """Return a cell's text without its tags."""
    return re.sub(r"<[^>]*>", "", cell).strip().replace('"', "&quot;")


def with_code(match: re.Match[str]) -> str:
    """Return a picture of the gallery with the code that draws it, folded."""
    code = (ROOT / "examples" / f"{match[2]}.py").read_text(encoding="utf-8")
    block = "\n".join(f"    {line}".rstrip() for line in ["```python", *code.splitlines(), "```"])
    return f'{match[1]}\n\n??? example "Code"\n\n{block}\n'
