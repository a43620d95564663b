"""Write docs/multi-branch-mit.md from docs/results/mit_*.csv: every number on the page comes from a table.

python benchmarks/mit_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd

from myoperf.research.slice_transformer import recipe as slices_recipe
from myoperf.research.slice_transformer.baselines import BASELINES
from myoperf.research.slice_transformer.study import ARMS, RECIPES
from myoperf.research.slice_transformer.tables import markdown
from myoperf.research.slice_transformer.unimiss import recipe as unimiss_recipe

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "results"
MAPS = "![Grad-CAM on the slices of a simulated patient](images/mit_maps.png)"

WAITING = {
    "mit_unimiss.csv": "Pre-training on stacks cut around the ventricle has not been run: nothing is claimed of it.",
    "mit_versus_polar.csv": "The comparison with the classifier of polar maps has not been run on these stacks.",
}


def table(frame: pd.DataFrame) -> str:
    """Lay a table of words out as Markdown."""
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * len(frame.columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in frame.to_numpy())])


def with_interval(row: pd.Series, name: str, lo: str, hi: str, sign: str = "") -> str:
    """Write a value with its interval; nothing where there is none."""
    if pd.isna(row[name]):
        return ""
    return f"{row[name]:{sign}.3f} ({row[lo]:{sign}.3f} to {row[hi]:{sign}.3f})"


def study() -> dict[str, str]:
    """Tables 3 to 6 and the answers."""
    if not (RESULTS / "mit_tables.csv").exists():
        return {"study": "The tables have not been run at scale small.", "findings": "", "done": "0"}
    models, answers = pd.read_csv(RESULTS / "mit_tables.csv"), pd.read_csv(RESULTS / "mit_answers.csv")
    findings = []
    for question, part in answers.groupby("question", sort=False):
        shown = part[part["answer"] == "yes"]
        worse = part[part["answer"].str.startswith("no,")]
        words = f"{question[0].upper()}{question[1:]}: shown in {len(shown)} of {len(part)} comparisons"
        words += f" ({', '.join(shown['other'])})" if len(shown) else ""
        words += f"; the other was better in {len(worse)} ({', '.join(worse['other'])})" if len(worse) else ""
        findings.append(f"- {words}.")
    learned = models[models["auc_lo"] > 0.5]["model"].tolist()
    findings.append(f"- Better than chance (interval of the AUC above 0.5): {', '.join(learned) or 'none of them'}.")
    done = int(models.loc[models["model"] != "all called abnormal", "splits"].sum())
    return {"study": markdown(models, answers), "findings": "\n".join(findings), "done": str(done)}


def ceiling() -> dict[str, str]:
    """Lay out what simple readers reach, and the transformer's learning curves."""
    out = {"ceiling": "Not measured yet.", "learning": "Not measured yet."}
    if (RESULTS / "mit_ceiling.csv").exists():
        rows = pd.read_csv(RESULTS / "mit_ceiling.csv")
        areas = [with_interval(r, "auc", "auc_lo", "auc_hi") for _, r in rows.iterrows()]
        label = rows["label"].map({"expert": "reader", "ica": "angiography"})
        shown = {"label": label, "what reads": rows["reader"], "n": rows["n"], "positive": rows["n_positive"]}
        out["ceiling"] = table(pd.DataFrame({**shown, "AUC (95 %)": areas}))
    if (RESULTS / "mit_learning.csv").exists():
        rows = pd.read_csv(RESULTS / "mit_learning.csv")
        kept = ["views", "frozen", "rate", "epochs", "epoch", "loss", "auc"]
        rows = rows[~rows["frozen"] | (rows["epoch"] == rows["epochs"])]
        shown = pd.DataFrame(
            {name: rows[name].map("{:.3f}".format if name in ("loss", "auc") else str) for name in kept}
        )
        out["learning"] = table(shown.rename(columns={"auc": "validation AUC"}))
        out["learning"] += "\n\n{n_train} patients to learn from, {n_validation} to measure.".format(**rows.iloc[0])
    return out


def curves(epochs: pd.DataFrame) -> str:
    """Lay out how losses, entropies and ranks went."""
    rows = []
    for kind, part in epochs.iloc[1:].groupby("kind", sort=True):
        row = {"epochs of": "pictures" if kind == "2D" else "volumes"}
        for name in ("loss", "entropy", "spread", "rank"):
            row[name] = f"{part[name].iloc[0]:.3f} to {part[name].iloc[-1]:.3f}"
        rows.append(row)
    return table(pd.DataFrame(rows)) + f"\n\nRank before training: {epochs['rank'].iloc[0]:.1f}."


def probe_verdict(probe: pd.DataFrame) -> str:
    """Say of each cohort and stage how the teacher stands against random encoders."""
    words = []
    for (patients, stage), part in probe.groupby(["patients", "stage"], sort=False):
        random = part[part["features"].str.startswith("random")]
        gain = part["auc"].iloc[0] - random["auc"].mean()
        better, worse = int((random["by_lo"] > 0).sum()), int((random["by_hi"] < 0).sum())
        words.append(
            f"- {patients} patients, {stage}: mean difference from random encoders {gain:+.3f}; beyond the interval, "
            f"better than {better} and worse than {worse} of {len(random)}."
        )
    return "\n".join(words)


def unimiss() -> dict[str, str]:
    """Curves and probe of the pre-training."""
    if not (RESULTS / "mit_unimiss.csv").exists():
        missing = "Not run yet on these stacks."
        return {"curves": missing, "probe": missing, "probe_verdict": "", "real": missing}
    probe = pd.read_csv(RESULTS / "mit_probe.csv")
    shown = pd.DataFrame(
        {
            "patients": probe["patients"],
            "features": probe["stage"] + ", " + probe["features"],
            "n": probe["n"],
            "abnormal": probe["n_abnormal"],
            "AUC (95 %)": [with_interval(r, "auc", "auc_lo", "auc_hi") for _, r in probe.iterrows()],
            "teacher better by": [
                with_interval(r, "first_better_by", "by_lo", "by_hi", "+") for _, r in probe.iterrows()
            ],
        }
    )
    return {
        "curves": curves(pd.read_csv(RESULTS / "mit_unimiss.csv")),
        "probe": table(shown),
        "probe_verdict": probe_verdict(probe),
        "real": real(probe),
    }


def real(simulated: pd.DataFrame) -> str:
    """Lay out the pre-training with real volumes besides, against that without and against random encoders."""
    if not (RESULTS / "mit_unimiss_real.json").exists():
        return "Not run yet."
    said = json.loads((RESULTS / "mit_unimiss_real.json").read_text(encoding="utf-8"))
    probe = pd.read_csv(RESULTS / "mit_probe_real.csv")
    teachers = probe[probe["features"] == "teacher"].merge(
        simulated[simulated["features"] == "teacher"], on=["patients", "stage"], suffixes=("", "_without")
    )
    shown = pd.DataFrame(
        {
            "patients": teachers["patients"],
            "features": teachers["stage"] + ", teacher",
            "n": teachers["n"],
            "AUC (95 %), with real volumes": [
                with_interval(r, "auc", "auc_lo", "auc_hi") for _, r in teachers.iterrows()
            ],
            "without": [
                with_interval(r, "auc_without", "auc_lo_without", "auc_hi_without") for _, r in teachers.iterrows()
            ],
        }
    )
    head = f"Learned from: {said['training_data']}; not read: {said['not_read_of_data']}."
    parts = [head, curves(pd.read_csv(RESULTS / "mit_unimiss_real.csv")), table(shown), probe_verdict(probe)]
    return "\n\n".join(parts)


def speed() -> dict[str, str]:
    """Time and memory, and how they grow with depth."""
    rows = pd.read_csv(RESULTS / "mit_speed.csv")
    depth = rows["what"].str.startswith(("attention", "encoder"))
    fixed = rows[~depth]
    first = table(
        pd.DataFrame(
            {
                "what": fixed["what"],
                "threads": fixed["threads"],
                "processor s": [f"{v:.2f}" for v in fixed["cpu_s"]],
                "wall s": [f"{v:.2f}" for v in fixed["wall_s"]],
                "rise of memory, MB": [f"{v:.0f}" for v in fixed["peak_rise_mb"]],
                "peak of the process, MB": [f"{v:.0f}" for v in fixed["peak_mb"]],
            }
        )
    )
    grown = []
    for what, part in rows[depth].groupby("what", sort=False):
        x = np.log(part["depth"].to_numpy(float))
        row = {"what": what}
        row |= {
            f"{int(r['depth'])} planes": f"{r['cpu_s']:.4f} s, {r['peak_rise_mb']:.0f} MB" for _, r in part.iterrows()
        }
        row["exponent of time"] = f"{np.polyfit(x, np.log(part['cpu_s'].to_numpy()), 1)[0]:.2f}"
        memory = np.log(np.maximum(part["peak_rise_mb"].to_numpy(float), 0.1))
        row["exponent of memory"] = f"{np.polyfit(x[-3:], memory[-3:], 1)[0]:.2f}"
        grown.append(row)
    load = f"{rows['load_1_min'].min():.1f} to {rows['load_1_min'].max():.1f}"
    return {"speed": first, "depth": table(pd.DataFrame(grown)), "load": load}


def ship() -> dict[str, str]:
    """Whether the slices add to the polar classifier."""
    if not (RESULTS / "mit_versus_polar.csv").exists():
        return {
            "ship": "The comparison has not been run.",
            "decision": "It stays a recipe.",
            "polar_version": "as shipped",
        }
    held, versus = pd.read_csv(RESULTS / "mit_held_out.csv"), pd.read_csv(RESULTS / "mit_versus_polar.csv")
    first = table(
        pd.DataFrame(
            {
                "model": held["model"],
                "n": held["n"],
                "diseased": held["n_positive"],
                **{
                    name: [with_interval(r, key, f"{key}_lo", f"{key}_hi") for _, r in held.iterrows()]
                    for name, key in (("AUC", "auc"), ("sensitivity", "sensitivity"), ("specificity", "specificity"))
                },
            }
        )
    )
    second = table(
        pd.DataFrame(
            {
                "model": versus["model"],
                "against": versus["other"],
                "difference in AUC": [
                    with_interval(r, "difference", "difference_lo", "difference_hi", "+") for _, r in versus.iterrows()
                ],
                "p (DeLong)": [f"{p:.3f}" for p in versus["p_delong"]],
            }
        )
    )
    earned = versus[versus["earns_its_place"]]["model"].tolist()
    if earned:
        decision = f"Better than the polar classifier beyond chance: {', '.join(earned)}."
    else:
        decision = (
            "Neither is better than the classifier of polar maps beyond chance: the network stays a recipe, is not "
            "shipped, and `analyze` does not use it."
        )
    return {"ship": f"{first}\n\n{second}", "decision": decision, "polar_version": str(versus["other_version"].iloc[0])}


def main() -> None:
    """Fill the page's text, which stands beside this script."""
    small, fit, learned = RECIPES["small"], slices_recipe.RECIPES["small"], unimiss_recipe.RECIPES["small"]
    trained = small.patients - round(small.test_share * small.patients)
    settings = {
        "patients": small.patients,
        "trained": trained,
        "splits": small.splits,
        "epochs": small.epochs,
        "rate": f"{small.learning_rate:g}",
        "batch": small.batch,
        "baseline_side": small.baseline_side,
        "baseline_epochs": small.baseline_epochs,
        "baseline_splits": small.baseline_splits,
        "planned": len(ARMS) * small.splits + len(BASELINES) * small.baseline_splits,
        "frozen_epochs": small.frozen_epochs,
        "frozen_rate": f"{small.frozen_rate:g}",
        "ship_epochs": fit.fit.epochs,
        "learned_patients": learned.patients,
        "learned_epochs": learned.options.epochs,
        "epoch_steps": learned.options.epoch_steps,
        "outputs": learned.options.outputs,
        "learned_batch": learned.options.batch,
        "learned_rate": f"{learned.options.learning_rate * learned.options.batch / 256.0:g}",
        "teacher_temperature": f"{learned.options.teacher_temperature:g}",
    }
    text = Template((Path(__file__).with_name("mit_page.txt")).read_text(encoding="utf-8"))
    waiting = [words for name, words in WAITING.items() if not (RESULTS / name).exists()]
    finished = study()["done"]
    if int(finished) < int(settings["planned"]):
        waiting.append(f"Tables 3 to 6 hold {finished} of {settings['planned']} trainings: their questions are open.")
    settings["left"] = (
        "\n".join(f"- {words}" for words in waiting) or "- Everything planned at scale small has been run."
    )
    maps = {"maps": ((DOCS / "images/mit_maps.png").exists() and MAPS) or "The picture has not been drawn."}
    page = text.substitute(
        maps | {k: str(v) for k, v in settings.items()} | study() | ceiling() | unimiss() | speed() | ship()
    )
    (DOCS / "multi-branch-mit.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
