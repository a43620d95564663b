"""Every example runs, short as it is, and draws its picture; the committed pictures are small and complete."""

import runpy
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PICTURES = ROOT / "docs" / "images" / "examples"
LONGEST = 40


def lines_of_code(path: Path) -> int:
    """Count the lines that hold more than a comment or a docstring."""
    with path.open("rb") as file:
        tokens = [
            t for t in tokenize.tokenize(file.readline) if t.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER)
        ]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)})


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_draws_its_picture(example, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    monkeypatch.setattr(sys, "argv", [str(example), str(tmp_path)])
    try:
        runpy.run_path(str(example), run_name="__main__")
    finally:
        plt.close("all")
    picture = plt.imread(tmp_path / f"{example.stem}.png")
    assert picture[..., :3].std() > 0.05, "the picture is nearly empty"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_short_and_its_picture_is_committed_and_shown(example):
    assert lines_of_code(example) <= LONGEST
    picture = PICTURES / f"{example.stem}.png"
    assert 0 < picture.stat().st_size < 100_000
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert f"images/examples/{example.stem}.png" in page
    assert f"examples/{example.stem}.py" in page


def test_there_are_ten_and_no_picture_without_an_example():
    assert len(EXAMPLES) == 10
    assert {path.stem for path in PICTURES.glob("*.png")} == {path.stem for path in EXAMPLES}
