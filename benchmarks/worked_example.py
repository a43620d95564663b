"""Keep the results and the truth of the demonstration's patient: docs/results/worked_example.json.

myoperf demo --seed 1151 -o runs/demo
python benchmarks/worked_example.py runs/demo
python docs/pages.py worked-example
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs/results/worked_example.json"
DIGITS = 6
SCAN = ("name", "state", "reconstruction", "findings")


def rounded(content: Any) -> Any:
    """Return JSON content with its numbers rounded."""
    if isinstance(content, dict):
        return {name: rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return round(content, DIGITS) if isinstance(content, float) else content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    kept = {
        "command": results["provenance"]["command"],
        "scans": [{name: scan[name] for name in SCAN} for scan in results["scans"]],
        "intervals": results["intervals"],
        "normal_limits": results["scores"]["normal_limits"],
        "diagnosis": results["diagnosis"],
        "truth": json.loads((folder / "simulated/truth.json").read_text(encoding="utf-8")),
    }
    OUT.write_text(json.dumps(rounded(kept), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
