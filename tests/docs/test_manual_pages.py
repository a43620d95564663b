"""What is added to the manual when it is built."""

import re
from types import SimpleNamespace

import manual_pages
import pytest
from typer.main import get_command

from myoperf.cli.main import app

COMMANDS = manual_pages.commands_page()


def commands_below(command, words="myoperf"):
    below = getattr(command, "commands", {})
    return [words] if not below else [one for name in below for one in commands_below(below[name], f"{words} {name}")]


@pytest.mark.parametrize("words", commands_below(get_command(app)))
def test_the_page_of_commands_has_every_command_with_every_option(words):
    section = COMMANDS.split(f"## {words}\n")[1].split("\n## ")[0]
    command = get_command(app)
    for word in words.split()[1:]:
        command = command.commands[word]
    for option in command.params:
        if option.param_type_name == "option" and option.name != "help":
            assert f"`{option.opts[0]}`" in section
            assert option.help.split("|")[0] in section


def test_links_out_of_docs_lead_to_the_sites_copies():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="start/install.md"))
    text = manual_pages.on_page_markdown(
        "[a](../../Makefile) [b](../index.md) [c](../../CONTRIBUTING.md)", page, None, None
    )
    assert text == "[a](../files/Makefile.txt) [b](../index.md) [c](../CONTRIBUTING.md)"


@pytest.mark.parametrize(
    "element", ['<script src="https://cdn.example/a.js"></script>', '<img alt="" src="http://example.org/a.png">']
)
def test_a_page_that_loads_from_the_network_fails_the_build(tmp_path, element):
    (tmp_path / "page.html").write_text('<a href="https://example.org">a link is fine</a>')
    manual_pages.on_post_build(SimpleNamespace(site_dir=tmp_path))
    (tmp_path / "other.html").write_text(element)
    with pytest.raises(Exception, match=r"other\.html loads from the network"):
        manual_pages.on_post_build(SimpleNamespace(site_dir=tmp_path))


def test_every_example_shows_its_code_in_the_gallery():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="examples.md"))
    text = (manual_pages.ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    shown = manual_pages.on_page_markdown(text, page, None, None)
    assert shown.count('??? example "Code"') == len(list((manual_pages.ROOT / "examples").glob("*.py")))


def table(*cells):
    rows = "".join(
        f'<tr>\n<td>{one}</td>\n<td style="text-align: right;">2</td>\n<td>{one}</td>\n</tr>' for one in cells
    )
    head = '<thead><tr><th>code</th>\n<th>a "b"</th><th>what</th></tr></thead>'
    return f"<p>x</p><table>\n{head}<tbody>{rows}</tbody></table>"


def test_cells_of_a_table_of_prose_name_their_column():
    shown = manual_pages.on_page_content(table("<code>short</code>", "word " * 20), None, None, None)
    assert shown.count("<table data-cards>") == 1
    assert re.findall(r'<td data-column="([^"]*)"', shown) == ["code", "a &quot;b&quot;", "what"] * 2
    assert re.sub(r' data-(cards|column="[^"]*")', "", shown) == table("<code>short</code>", "word " * 20)


def test_a_table_of_numbers_stays_as_it_is():
    numbers = table("0.787 (0.727 to 0.836)")
    assert manual_pages.on_page_content(numbers, None, None, None) == numbers


def test_a_doi_in_a_table_may_break():
    shown = manual_pages.on_page_content(table('<a href="https://doi.org/10.1/x">doi:10.1/x</a>'), None, None, None)
    assert '<a href="https://doi.org/10.1/x">doi:10.1/<wbr>x</a>' in shown
