"""Send every real study through the whole main job; write what came out.

    python benchmarks/real_studies.py [FOLDER]      # default ../shared/real

Writes docs/results/real_studies.csv (a row a file), the tables in docs/real-studies.md and the page
of the raw study, docs/images/report_raw_study.png (from report.pdf by pdftoppm). Files are named, patients are not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.io import read_studies
from myoperf.pipeline import Options, StageClock, analyze, load_models, write_report

ROOT = Path(__file__).parents[1]
RAW = Path("ge_projections") / "stress_tomo.dcm"
STAGES = ("read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report", "total")


def run(file: Path, out: Path, *, formats: tuple[str, ...]) -> dict[str, object]:
    """Analyse one file as a study of its own; give its row of the table."""
    clock = StageClock()
    row: dict[str, object] = {"file": file.name}
    try:
        with clock.stage("read"):
            study = read_studies([file]).studies[0]
        write_report(analyze(study, load_models(), Options(), clock=clock), out, formats=formats, clock=clock)
    except MyoPerfError as error:
        return row | {"done": False, "error": str(error)}
    made = json.loads((out / "results.json").read_text(encoding="utf-8"))
    scan, how = made["scans"][0], made["provenance"]
    row |= {"done": True, "error": "", "state": scan["state"] or "unknown"}
    row |= {"findings": " ".join(f["code"] for f in scan["findings"])}
    row |= {f"{stage}_s": round(how["timings_s"][stage], 3) for stage in STAGES}
    return row | {"peak_mb": round(how["peak_memory_mb"]["total"])}


def stage_table(out: Path) -> str:
    """Lay out time and memory of the raw study's stages as Markdown."""
    how = json.loads((out / "results.json").read_text(encoding="utf-8"))["provenance"]
    lines = ["| stage | seconds | peak memory, MB |", "|---|---|---|"]
    for stage in STAGES:
        peak = how["peak_memory_mb"].get(stage)
        lines.append(f"| {stage} | {how['timings_s'][stage]:.2f} | {f'{peak:.0f}' if peak else ''} |")
    return "\n".join(lines)


def summary(rows: pd.DataFrame) -> str:
    """Count what went through and what was said of it."""
    done = rows[rows["done"]]
    said = done["findings"].str.split().explode().dropna().value_counts()
    text = f"{len(done)} of {len(rows)} files went through (one raw acquisition, the rest reconstructed volumes).\n\n"
    text += f"Total time a volume, JSON only: median {done['total_s'].iloc[1:].median():.1f} s, "
    text += f"worst {done['total_s'].iloc[1:].max():.1f} s; n = {len(done) - 1}.\n\n| finding | files |\n|---|---|\n"
    return text + "\n".join(f"| `{code}` | {count} |" for code, count in said.items() if code)


def between(page: str, name: str, text: str) -> str:
    """Replace what stands between a page's markers."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    head, rest = page.split(start)
    return head + start + "\n" + text + "\n" + end + rest.split(end)[1]


def main() -> None:
    """Run all, write the tables."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".." / "shared" / "real"
    files = [folder / RAW, *sorted((folder / "physionet_mps" / "dicom").glob("*.dcm"))]
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw"
        run(files[0], Path(scratch) / "warm", formats=("json",))
        rows = [run(files[0], raw, formats=("html", "pdf", "json", "nifti", "polar", "dicom"))]
        picture = ROOT / "docs" / "images" / "report_raw_study"
        picture.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["pdftoppm", "-r", "80", "-png", "-f", "1", "-l", "1", "-singlefile", raw / "report.pdf", picture],
            check=True,
        )
        stages = stage_table(raw)
        rows += [run(file, Path(scratch) / file.stem, formats=("json",)) for file in files[1:]]
    table = pd.DataFrame(rows)
    table.to_csv(ROOT / "docs" / "results" / "real_studies.csv", index=False)
    page = ROOT / "docs" / "real-studies.md"
    text = between(page.read_text(encoding="utf-8"), "stages", stages)
    page.write_text(between(text, "files", summary(table)), encoding="utf-8")
    print(summary(table))


if __name__ == "__main__":
    main()
