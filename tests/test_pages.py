"""The tool that fills the tables of the pages in docs/."""

from pathlib import Path

import pages
import pytest
from tables import components

PAGE = """Before.
<!-- table: results/numbers.csv
where: kind == 'spect'
case: {case}
value, mm: {value:.1f} ({lo:.1f} to {hi:.1f})
-->
old
<!-- end -->
After.
"""
FILLED = PAGE.replace("old\n", "| case | value, mm |\n|---|---|\n| first | 1.2 (1.0 to 1.5) |\n| third |  |\n")


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "results").mkdir()
    rows = "kind,case,value,lo,hi\nspect,first,1.23,1.04,1.46\npet,second,2,1,3\nspect,third,,,\n"
    (tmp_path / "results" / "numbers.csv").write_text(rows)
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["pages.py", *words])
    pages.main()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("formula,sum,exact,,", "called exact; name the test"),
        ("formula,sum,exact,,tests/test_pages.py", "called exact; name the test"),
        ("formula,sum,exact,,tests/test_pages.py::test_of_nothing", "does not exist"),
        ("formula,sum,differs,,", "and how it differs"),
        ("formula,sum,done,,", "needs a status"),
    ],
)
def test_a_component_is_exact_only_with_a_test(tmp_path, monkeypatch, row, reason) -> None:
    folder = tmp_path / "docs" / "components"
    folder.mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_pages.py").write_text("def test_sum():\n    assert 1 + 1 == 2\n")
    monkeypatch.setattr(components, "DOCS", tmp_path / "docs")
    head, good = "kind,component,status,how,test\n", "formula,sum,exact,,tests/test_pages.py::test_sum\n"
    (folder / "paper.csv").write_text(head + good)
    assert "| formula | sum | exact |" in components.components("paper")
    (folder / "paper.csv").write_text(head + good + row + "\n")
    with pytest.raises(ValueError, match=reason):
        components.components("paper")


def test_rows_and_columns_of_a_file_fill_a_page(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch)
    assert (docs / "page.md").read_text() == FILLED


def test_check_fails_on_a_page_that_differs_and_leaves_it(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"page\.md"):
        run(monkeypatch, "--check")
    assert (docs / "page.md").read_text() == PAGE
    run(monkeypatch, "page")
    run(monkeypatch, "--check")


def test_without_columns_a_table_shows_all(docs: Path) -> None:
    table = pages.table_of_file(docs / "results" / "numbers.csv", "")
    assert table.splitlines()[0] == "| kind | case | value | lo | hi |"
    assert table.splitlines()[2] == "| spect | first | 1.23 | 1.04 | 1.46 |"


def test_a_file_without_rows_is_said_to_be_so(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (docs / "results" / "numbers.csv").write_text("kind,case,value,lo,hi\n")
    run(monkeypatch)
    assert (docs / "page.md").read_text() == PAGE.replace("old\n", "Not measured yet.\n")
