"""The record of what each result was measured on, and what makes a result stale."""

from dataclasses import replace
from pathlib import Path

import evidence
import pytest

ROOT = Path(__file__).parents[2]
PLAN = evidence.read_plan()


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """An entry of a small repository: a module that is measured, a result, a page."""
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    monkeypatch.setattr(evidence, "RECORDS", tmp_path / "docs/results/evidence.csv")
    (tmp_path / "src/myoperf/recon").mkdir(parents=True)
    (tmp_path / "docs/results").mkdir(parents=True)
    (tmp_path / "src/myoperf/recon/osem.py").write_text('"""A docstring."""\n\nITERATIONS = 4  # why\n')
    (tmp_path / "docs/results/recon.csv").write_text("error\n1\n")
    return evidence.Entry(name="recon", page="recon.md", results=("recon.csv",), sources=("recon",), commands=())


def module():
    return evidence.ROOT / "src/myoperf/recon/osem.py"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""Another."""\n\n# a comment\nITERATIONS = 4\n', "fresh"),
        ('"""A docstring."""\n\nITERATIONS = 5  # why\n', "stale"),
    ],
)
def test_code_makes_a_result_stale_and_words_do_not(entry, text, found):
    kept = record_here(entry)
    module().write_text(text)
    assert evidence.state(entry, kept) == found


def record_here(entry):
    """Return a record without asking git, which knows nothing of the small repository."""
    code, results = (evidence.digest(evidence.files_now(paths)) for paths in (entry.source_paths, entry.result_paths))
    return evidence.Record(name=entry.name, page=entry.page, commit="abc1234", code=code, results=results)


def test_new_files_and_new_results_show(entry):
    kept = record_here(entry)
    assert evidence.state(entry, None) == "not recorded"
    (module().parent / "filter.py").write_text("ORDER = 5\n")
    assert evidence.state(entry, kept) == "stale"
    (evidence.ROOT / "docs/results/recon.csv").write_text("error\n2\n")
    assert evidence.state(entry, kept) == "results changed since"


def test_strict_fails_where_the_rest_warns(entry, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "read_plan", lambda: {"recon": entry})
    evidence.report(strict=False)
    assert "1 of 1 not of today's code" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="make evidence"):
        evidence.report(strict=True)
    evidence.write_records({"recon": record_here(entry)})
    evidence.report(strict=True)


def test_what_is_fresh_or_needs_something_special_is_not_run(entry, monkeypatch):
    plan = {
        "recon": entry,
        "room": replace(entry, name="room", needs="a quiet machine"),
        "flow": replace(entry, name="flow"),
    }
    ran = []
    monkeypatch.setattr(evidence, "read_plan", lambda: plan)
    monkeypatch.setattr(evidence, "run", lambda one: ran.append(one.name))
    evidence.write_records({"recon": record_here(entry)})
    monkeypatch.setattr("sys.argv", ["evidence.py", "run"])
    evidence.main()
    assert ran == ["flow"]
    monkeypatch.setattr("sys.argv", ["evidence.py", "run", "room"])
    evidence.main()
    assert ran == ["flow", "room"]


@pytest.mark.parametrize("name", PLAN)
def test_the_plan_names_what_is_there(name):
    one = PLAN[name]
    assert (ROOT / "docs" / one.page).is_file()
    assert all((ROOT / path).exists() for path in (*one.result_paths, *one.source_paths))
    for command in one.commands:
        program, first, *_ = command.split()
        assert program == "myoperf" or (program == "python" and (ROOT / first).is_file()), command
    assert evidence.read_records()[name].page == one.page, "run python docs/evidence.py adopt"
