"""Count the parameters of the networks that find the ventricle: docs/results/lv_networks.csv.

python benchmarks/lv_network_sizes.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network

RESULTS = Path(__file__).parents[1] / "docs" / "results"


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


def main() -> None:
    table = parameters()
    table.to_csv(RESULTS / "lv_networks.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
