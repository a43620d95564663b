"""Send every real study through the whole main job; write what came out.

    python benchmarks/real_studies.py [FOLDER]               # default ../shared/real
    python benchmarks/real_studies.py [FOLDER] --raw         # the raw study alone
    python benchmarks/real_studies.py [FOLDER] --picture     # the picture of its report alone; no table changes

Writes docs/results/real_studies.csv (a row a file), real_studies_stages.csv (time and memory of the raw study)
and the first page of its report, docs/images/report_raw_study.png (by pdftoppm). Files are named, patients are not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.io import read_studies
from myoperf.pipeline import Options, StageClock, analyze, load_models, write_report

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
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


def measure_raw(file: Path, scratch: Path) -> dict[str, object]:
    """Analyse the raw study twice; write time and memory of the second run and its picture, and return its row."""
    run(file, scratch / "warm", formats=("json",))
    row = run(file, scratch / "raw", formats=("html", "pdf", "json", "nifti", "polar", "dicom"))
    take_picture(scratch / "raw" / "report.pdf")
    how = json.loads((scratch / "raw" / "results.json").read_text(encoding="utf-8"))["provenance"]
    stages = [(name, how["timings_s"][name], how["peak_memory_mb"].get(name)) for name in STAGES]
    columns = ["stage", "seconds", "peak_memory_mb"]
    pd.DataFrame(stages, columns=columns).round(2).to_csv(RESULTS / "real_studies_stages.csv", index=False)
    return row


def take_picture(report: Path) -> None:
    """Keep the first page of a report."""
    picture = ROOT / "docs" / "images" / "report_raw_study"
    picture.parent.mkdir(parents=True, exist_ok=True)
    command = ["pdftoppm", "-r", "110", "-png", "-f", "1", "-l", "1", "-singlefile", report, picture]
    subprocess.run(command, check=True)


def main() -> None:
    """Run all, or the raw study alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".." / "shared" / "real")
    parser.add_argument("--raw", action="store_true", help="the raw study alone; real_studies.csv is left as it is")
    parser.add_argument("--picture", action="store_true", help="the picture of the raw study's report alone")
    given = parser.parse_args()
    files = sorted((given.folder / "physionet_mps" / "dicom").glob("*.dcm"))
    with tempfile.TemporaryDirectory() as scratch:
        if given.picture:
            run(given.folder / RAW, Path(scratch) / "raw", formats=("pdf", "json"))
            take_picture(Path(scratch) / "raw" / "report.pdf")
            return
        rows = [measure_raw(given.folder / RAW, Path(scratch))]
        if given.raw:
            return
        rows += [run(file, Path(scratch) / file.stem, formats=("json",)) for file in files]
    table = pd.DataFrame(rows)
    table.to_csv(RESULTS / "real_studies.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
