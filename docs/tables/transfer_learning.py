"""Tables of two-stage.md."""

from __future__ import annotations

import numpy as np
import pandas as pd

from myoperf.research.transfer_learning.tables import TABLE_3, TABLE_4
from tables.layout import corrected, markdown, p_value, read, read_json, short_interval, transcribed

METRICS = ("accuracy", "auc", "precision", "sensitivity", "specificity", "f1")
WARM_UP_GOAL = 150
"""Times as fast as Keras by itself."""


def models(part: str) -> str:
    """Return every model's metrics on one part of the patients."""
    chosen = read("two_stage").query("part == @part")
    names = ("network", "weights", "strategy")
    rows = [[*(row[n] for n in names), *(short_interval(row, n) for n in METRICS)] for row in chosen.to_dict("records")]
    return f"n {chosen['n'].iloc[0]}\n\n{markdown((*names, *METRICS), rows)}"


def test() -> str:
    """Return every model's metrics on the test part."""
    return models("test")


def fresh() -> str:
    """Return every model's metrics on fresh patients."""
    return models("fresh")


def strategies() -> str:
    """Return the six strategies on fresh patients and the paper's Table 4."""
    lead = read("two_stage").query("network == 'EfficientNetLite0' and part == 'fresh'")
    rows = []
    for row in lead[lead["weights"].eq("imagenet") | lead["strategy"].eq(1)].to_dict("records"):
        *paper, seconds = TABLE_4[row["strategy"]]
        cells = [short_interval(row, n) for n in ("accuracy", "auc", "specificity", "sensitivity")]
        published = [*(f"{v:.3f}" for v in paper), f"{seconds:.0f}"]
        rows.append([row["strategy"], *cells, f"{row['cpu_seconds']:.0f}", *published])
    head = ("accuracy", "AUC", "specificity", "sensitivity", "time, s")
    return markdown(("strategy", *head, *(f"paper: {name}" for name in head)), rows)


def transfer() -> str:
    """Return the gain in AUC by ImageNet weights over random ones, by strategy, on fresh patients."""
    tests, rows = read("two_stage_delong").query("part == 'fresh'").copy(), []
    tests[["p"]] = corrected(tests[["p"]], "holm")
    for strategy in (4, 5, 6):
        names = [f"EfficientNetLite0 {weights} strategy {strategy}" for weights in ("imagenet", "random")]
        for row in tests[tests["a"].eq(names[0]) & tests["b"].eq(names[1])].to_dict("records"):
            rows.append([strategy, f"{row['difference']:+.3f}", p_value(row["p"])])
    return markdown(("strategy", "AUC, ImageNet less random weights", "p, DeLong, paired, after Holm"), rows)


def hyperband() -> str:
    """Return the head that Hyperband chose."""
    tuned = read_json("two_stage_hyperband")
    return (
        f"Hyperband over {tuned['trials']} heads on {tuned['network']} chose {tuned['units']} units and dropout "
        f"{tuned['dropout']:.1f} (validation accuracy {tuned['accuracy']:.3f}); the study keeps the paper's 256 units."
        f"{transcribed(tuned)}"
    )


def paper() -> str:
    """Return the paper's Table 3."""
    rows = [[name, *(f"{v:.3f}" for v in values)] for name, values in TABLE_3.items()]
    return markdown(("network", "accuracy", "AUC", "precision", "sensitivity", "F1"), rows)


def optimism() -> str:
    """Return accuracy by where the epoch was chosen: means over splits with the middle 95 % of the splits."""
    table, rows = read("two_stage_optimism"), []

    def middle(values: pd.Series, sign: str = "") -> str:
        low, high = np.percentile(values, [2.5, 97.5])
        return f"{values.mean():{sign}.3f} ({low:{sign}.2f} to {high:{sign}.2f})"

    for choice, part in table.groupby("chosen_on", sort=False):
        on_test, on_fresh = part["test_accuracy"], part["fresh_accuracy"]
        rows.append([choice, len(part), middle(on_test), middle(on_fresh), middle(on_test - on_fresh, "+")])
    wide = table.pivot_table(index="split", columns="chosen_on", values="test_accuracy")
    gain = wide["test"] - wide["validation"]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    head = ("epoch chosen on", "splits", "accuracy, test", "accuracy, fresh patients", "test less fresh")
    return (
        f"{markdown(head, rows)}\n\nSimulated patients; {table['n_test'].iloc[0]} in each test part, "
        f"{table['n_fresh'].iloc[0]} fresh; in brackets the middle 95 % of the splits. "
        f"Choosing on the pictures that are reported adds {gain.mean():+.3f} to their accuracy (mean over splits, "
        f"standard error {error:.3f}; the splits share patients, so it is too small)."
    )


def warm_up() -> str:
    """Return the time of training a head with features computed once and every epoch."""
    table, rows = read("warmup"), []
    for row in table.to_dict("records"):
        seconds = (row[n] for n in ("stock_every_epoch_s_extrapolated", "own_every_epoch_s_extrapolated", "once_s"))
        ratios = [row["ratio_to_stock"], row["ratio_to_own"], f"{row['greatest_difference_of_a_head_weight']:.1e}"]
        rows.append([f"{row['network']}, {row['size']} px", *(f"{s} s" for s in seconds), *ratios])
    reached = ", ".join(table.loc[table["ratio_to_stock"] >= WARM_UP_GOAL, "network"]) or "none of them"
    timed = " and ".join(sorted(map(str, table["timed_pictures"].unique())))
    head = ("network", "Keras as it comes", "features every epoch", "features once", "ratio", "same layout")
    return (
        f"{markdown((*head, 'difference'), rows)}\n\nExtrapolated from {timed} pictures. "
        f"The goal of {WARM_UP_GOAL} x against Keras as it comes is reached by {reached}."
    )
