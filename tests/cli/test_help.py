"""Help texts speak of choices, units and files, not of Python's types."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from myoperf.cli.main import app


def commands(command, words=()):
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


@pytest.mark.parametrize("words", [*commands(get_command(app))], ids=" ".join)
def test_help_names_no_python_type(words):
    text = CliRunner().invoke(app, [*words, "--help"]).output
    assert f"Usage: {' '.join(('myoperf', *words))} " in text
    types = re.findall(r"(.*<[a-z][^>\n]*>.*)", text)
    assert not types, "give these options a metavar, hide the argument and explain it in the docstring: " + str(types)


def test_help_lists_the_choices_of_an_option():
    text = " ".join(CliRunner().invoke(app, ["analyze", "--help"]).output.split())
    assert "--state stress|rest" in text
    assert "--lv network|classical" in text
    assert "[default: network]" in text
