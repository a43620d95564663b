"""Fill the tables of docs/lv-networks.md from docs/results, and count the networks' parameters.

python benchmarks/lv_networks_page.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import torch

from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network

DOCS = Path(__file__).parents[1] / "docs"


def parameters() -> pd.DataFrame:
    rows = []
    for name in LV_NETWORKS:
        row: dict[str, object] = {"network": name}
        for size, side in (("paper", 128), ("compact", 64)):
            with torch.device("meta"):
                net = build_lv_network(name, size)
                output = net(torch.rand(1, 1, side, side, side))
            row[f"{size}_million"] = round(sum(p.numel() for p in net.parameters()) / 1e6, 2)
        row["poses"] = 0 if output.scale_rotations is None else output.scale_rotations.shape[1]
        row["labelled_sides"] = " ".join(f"1/{side // t.shape[2]}" if t.shape[2] < side else "1" for t in output.logits)
        row["their_fields"] = " ".join(f"1/{round(1 / f)}" if f < 1 else "1" for f in output.fields)
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    rows = [[str(c).replace("_", " ") for c in table.columns], ["---"] * len(table.columns)]
    rows += [["" if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v) for v in row] for row in table.values]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parameters().to_csv(DOCS / "results" / "lv_networks.csv", index=False)
    page = DOCS / "lv-networks.md"
    text = page.read_text()
    for name in re.findall(r"<!-- table (\w+) -->", text):
        file = DOCS / "results" / f"{name}.csv"
        table = markdown(pd.read_csv(file)) if file.exists() else "Not measured yet; run the command."
        pattern = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda found, t=table: f"{found[1]}{t}\n{found[2]}", text, flags=re.DOTALL)
    page.write_text(text)


if __name__ == "__main__":
    main()
