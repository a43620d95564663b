"""Time and memory of an analysis, stage by stage, beside what its arithmetic would take at the processor's peak.

    python benchmarks/profile_stages.py

Analyses the simulated gated stress and rest study of ``whole_command.py`` in new processes, all formats. The limit of a
stage is the multiplications and additions of its projections and convolutions over the rate of a large matrix product
measured in the same run: what no arrangement of the same arithmetic can beat. Stages whose work is of another kind have
none. Writes ``docs/results/profile_stages.csv``: medians.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import myoperf
from myoperf.io import read_studies
from myoperf.lv.inference import CompiledNetwork
from myoperf.lv.network import PASSES, load_network_lv
from myoperf.lv.sampling import CROP
from myoperf.pipeline import Options
from myoperf.recon import Projector, SystemGeometry, interleaved_subsets
from myoperf.types import Projections
from whole_command import ROOT, execute, inputs

RESULT = ROOT / "docs" / "results" / "profile_stages.csv"
STAGES = ("read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report")
START, TOTAL = "imports and start", "total"
"""Rows for what no stage holds, and for the whole process."""


def peak_rate() -> float:
    """Return the operations a second of a large product in single precision, the best of five."""
    one = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        _ = one @ one
        times.append(time.perf_counter() - start)
    return 2.0 * 2048**3 / min(times)


def operations(path: Path) -> dict[str, float]:
    """Return the operations of projections and convolutions by stage."""
    images = [scan.image for scan in read_studies(path).studies[0].scans]
    views = [image for image in images if isinstance(image, Projections)]
    options, crop = Options(), _labelling()
    projected = sum(_reconstruction(image, options) for image in views)
    return {
        "reconstruct": projected,
        "orient": (2 + PASSES) * crop * len(images),
        "segment": crop * sum(image.frames for image in images),
        "quantify": options.interval_draws * (projected + crop * len(images)),
    }


def _labelling() -> float:
    """Return the operations of the network on one crop; a tile of 64 outputs takes 216 products of channels."""
    network = load_network_lv(Path(myoperf.__file__).parent / "weights" / "lv-compact", engine="compiled").net
    assert isinstance(network, CompiledNetwork)
    halvings = {"one": 0, "two": 1, "three": 2, "bottom": 2, "up_two": 1, "up_one": 0}
    total = 0.0
    for name, block in network.blocks.items():
        products = block.skip.size
        for convolution in (block.first, block.second):
            products += convolution.filters.size / (64 if convolution.tiled else 1)
        total += 2.0 * products * (CROP >> halvings[name]) ** 3
    return total


def _reconstruction(image: Projections, options: Options) -> float:
    """Return the operations of one reconstruction: every entry of the system matrix forward and back."""
    geometry = SystemGeometry.of(image, options.recon.psf)
    subsets = interleaved_subsets(image.angles_deg, options.recon.subsets)
    entries = sum(int(Projector(geometry, subset).entries) for subset in subsets)
    return 4.0 * entries * image.frames * geometry.rows * options.recon.iterations


def run(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds and the peak memory in MB of every stage of one process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        cost = execute(ROOT / "src", "analyze", path, "-o", out, "-q")
        made = json.loads((out / "results.json").read_text())["provenance"]
    seconds, peaks = made["timings_s"], made.get("peak_memory_mb") or {}
    start = cost.seconds - sum(seconds[name] for name in STAGES)
    return {**seconds, START: start, TOTAL: cost.seconds}, {**peaks, TOTAL: cost.peak_mb}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--inputs", type=Path, default=ROOT / "runs" / "whole-command", help="keeps the simulated study"
    )
    given = parser.parse_args()
    path = inputs(given.inputs)["gated"]
    work, rate = operations(path), peak_rate()
    runs = [run(path) for _ in range(given.repeats)]
    rows = []
    for stage in (START, *STAGES, TOTAL):
        seconds = median(seconds[stage] for seconds, _ in runs)
        peaks = [peak[stage] for _, peak in runs if stage in peak]
        rows.append(
            {
                "stage": stage,
                "seconds": f"{seconds:.2f}",
                "share_percent": f"{100 * seconds / median(s[TOTAL] for s, _ in runs):.0f}",
                "peak_mb": f"{np.median(peaks):.0f}" if peaks else "",
                "limit_seconds": f"{work[stage] / rate:.2f}" if stage in work else "",
                "rate_gflops": f"{rate / 1e9:.0f}",
                "repeats": given.repeats,
                "cores": len(os.sched_getaffinity(0)),
            }
        )
    with RESULT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
