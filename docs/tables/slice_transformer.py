"""Tables of multi-branch-mit.md."""

from __future__ import annotations

import numpy as np
import pandas as pd

from myoperf.research.slice_transformer.baselines import BASELINES
from myoperf.research.slice_transformer.study import ARMS, RECIPES
from myoperf.research.slice_transformer.tables import markdown as study_markdown
from tables.layout import RESULTS, interval, markdown, read, read_json

AUGMENTATION = (
    "**Withdrawn.** These networks were trained before the augmentation was corrected: it scaled depth instead of the "
    "plane and lowered the resolution along depth, which mixed stress with rest. The figures are kept as they were "
    "measured, but nothing follows from them until they are made again (`python benchmarks/mit_tables.py FOLDER --part "
    "{part}`)."
)
PRE_TRAINING = (
    "**Withdrawn.** This pre-training ran before it was corrected to follow the authors' code (the centre moves after "
    "each mean of a step of volumes, the two views differ, brightness, contrast and gamma are drawn as theirs are). "
    "The figures are kept as they were measured, but nothing follows from them until they are made again (`python "
    "benchmarks/mit_tables.py FOLDER --part {part}`)."
)


def withdrawn(made_by: str, why: str, part: str) -> str:
    """Return why results are withdrawn, or nothing where the corrected code made them and left a file of that name."""
    file = RESULTS / f"{made_by}.json"
    if file.exists() and "myoperf" in read_json(made_by):
        return ""
    return why.format(part=part)


def written(rows: pd.DataFrame, name: str, ends: str = "", form: str = ".3f") -> list[str]:
    """Write a column with its interval; nothing where there is none."""
    columns = (rows[name], rows[f"{ends or name}_lo"], rows[f"{ends or name}_hi"])
    return ["" if pd.isna(of[0]) else interval(*of, form) for of in zip(*columns, strict=True)]


def ceiling() -> str:
    """Return what simple readers reach."""
    rows = read("mit_ceiling")
    label = rows["label"].map({"expert": "reader", "ica": "angiography"})
    columns = (label, rows["reader"], rows["n"], rows["n_positive"], written(rows, "auc"))
    return markdown(("label", "what reads", "n", "positive", "AUC (95 %)"), zip(*columns, strict=True))


def learning() -> str:
    """Return the transformer's learning curves."""
    rows = read("mit_learning")
    names = ["views", "frozen", "rate", "epochs", "epoch", "loss", "auc"]
    shown = rows[~rows["frozen"] | (rows["epoch"] == rows["epochs"])]
    cells = [
        [f"{v:.3f}" if n in ("loss", "auc") else str(v) for n, v in row.items()]
        for row in shown[names].to_dict("records")
    ]
    of = rows.iloc[0]
    return (
        f"{markdown((*names[:-1], 'validation AUC'), cells)}\n\n"
        f"{of['n_train']} patients to learn from, {of['n_validation']} to measure."
    )


def curves_of(epochs: pd.DataFrame) -> str:
    """Return how losses, entropies and ranks went during a pre-training."""
    rows, names = [], ("loss", "entropy", "spread", "rank")
    for kind, part in epochs.iloc[1:].groupby("kind", sort=True):
        course = [f"{part[name].iloc[0]:.3f} to {part[name].iloc[-1]:.3f}" for name in names]
        rows.append(["pictures" if kind == "2D" else "volumes", *course])
    return f"{markdown(('epochs of', *names), rows)}\n\nRank before training: {epochs['rank'].iloc[0]:.1f}."


def curves() -> str:
    """Return how the pre-training on simulated patients went."""
    return curves_of(read("mit_unimiss"))


def probe() -> str:
    """Return what the pre-trained features are worth."""
    rows = read("mit_probe")
    columns = (
        rows["patients"],
        rows["stage"] + ", " + rows["features"],
        rows["n"],
        rows["n_abnormal"],
        written(rows, "auc"),
        written(rows, "first_better_by", "by", "+.3f"),
    )
    head = ("patients", "features", "n", "abnormal", "AUC (95 %)", "teacher better by")
    reason = withdrawn("mit_unimiss", PRE_TRAINING, "unimiss")
    return f"{markdown(head, zip(*columns, strict=True))}\n\n{reason or verdict_of(rows)}"


def verdict_of(rows: pd.DataFrame) -> str:
    """Say of each cohort and stage how the teacher stands against random encoders."""
    words = []
    for (patients, stage), part in rows.groupby(["patients", "stage"], sort=False):
        random = part[part["features"].str.startswith("random")]
        gain = part["auc"].iloc[0] - random["auc"].mean()
        better, worse = int((random["by_lo"] > 0).sum()), int((random["by_hi"] < 0).sum())
        words.append(
            f"- {patients} patients, {stage}: mean difference from random encoders {gain:+.3f}; beyond the interval, "
            f"better than {better} and worse than {worse} of {len(random)}."
        )
    return "\n".join(words)


def real() -> str:
    """Return the pre-training with real volumes as well, against that without and against random encoders."""
    run, rows, keys = read_json("mit_unimiss_real"), read("mit_probe_real"), ["patients", "stage"]
    is_teacher = {"without": read("mit_probe"), "with": rows}
    teachers = {name: table[table["features"] == "teacher"] for name, table in is_teacher.items()}
    both = teachers["with"].merge(teachers["without"], on=keys, suffixes=("", "_without"))
    both = both.rename(columns={f"auc_{end}_without": f"auc_without_{end}" for end in ("lo", "hi")})
    columns = (
        both["patients"],
        both["stage"] + ", teacher",
        both["n"],
        written(both, "auc"),
        written(both, "auc_without"),
    )
    head = ("patients", "features", "n", "AUC (95 %), with real volumes", "without")
    return "\n\n".join(
        [
            f"Learned from: {run['training_data']}; not read: {run['not_read_of_data']}.",
            curves_of(read("mit_unimiss_real")),
            markdown(head, zip(*columns, strict=True)),
            withdrawn("mit_unimiss_real", PRE_TRAINING, "real --data REAL") or verdict_of(rows),
        ]
    )


def progress() -> str:
    """Return how many trainings of scale small are done."""
    models, small = read("mit_tables"), RECIPES["small"]
    done = int(models.loc[models["model"] != "all called abnormal", "splits"].sum())
    planned = len(ARMS) * small.splits + len(BASELINES) * small.baseline_splits
    return (
        f"**{done} of {planned} trainings of scale small are done**; the tables hold those, and the same command "
        "continues with the others."
    )


def study() -> str:
    """Return the paper's tables 3 to 6 and what they show."""
    models, answers, findings = read("mit_tables"), read("mit_answers"), list[str]()
    reason = withdrawn("mit_study", AUGMENTATION, "study")
    if reason:
        return "\n".join([reason, "", study_markdown(models, answers.drop(columns="answer")).rstrip()])
    for question, part in answers.groupby("question", sort=False):
        shown = part[part["answer"] == "yes"]["other"]
        worse = part[part["answer"].str.startswith("no,")]["other"]
        words = f"{question[0].upper()}{question[1:]}: shown in {len(shown)} of {len(part)} comparisons"
        words += f" ({', '.join(shown)})" if len(shown) else ""
        words += f"; the other was better in {len(worse)} ({', '.join(worse)})" if len(worse) else ""
        findings.append(f"- {words}.")
    better = ", ".join(models[models["auc_lo"] > 0.5]["model"]) or "none of them"
    findings.append(f"- Better than chance (interval of the AUC above 0.5): {better}.")
    return "\n".join(
        [
            study_markdown(models, answers),
            "Findings, each by the interval of the paired difference and its p (both must agree), not adjusted for "
            "multiple comparisons:\n",
            *findings,
        ]
    )


def again() -> str:
    """Return the paired questions in both seeds, where both were run on the corrected code."""
    if withdrawn("mit_study", AUGMENTATION, "study") or withdrawn("mit_study_again", AUGMENTATION, "study --again"):
        return "Not run yet: `python benchmarks/mit_tables.py OTHER --part study --again`."
    keys = ["question", "model", "other"]
    both = read("mit_answers").merge(read("mit_answers_again"), on=keys, suffixes=("", "_again"))
    both = both.rename(columns={f"difference_{end}_again": f"difference_again_{end}" for end in ("lo", "hi")})
    shown = [
        one if one == other else "seeds differ" for one, other in zip(both["answer"], both["answer_again"], strict=True)
    ]
    columns = (*(both[name] for name in keys), written(both, "difference"), written(both, "difference_again"), shown)
    head = ("question", "model", "other", "difference in AUC", "another seed", "shown in both?")
    return markdown(head, zip(*columns, strict=True))


def speed() -> str:
    """Return time and memory of a forward pass and of training."""
    rows = read("mit_speed")
    rows = rows[~rows["what"].str.startswith(("attention", "encoder"))]
    forms = {"cpu_s": ".2f", "wall_s": ".2f", "peak_rise_mb": ".0f", "peak_mb": ".0f"}
    cells = [
        [row["what"], row["threads"], *(f"{row[name]:{form}}" for name, form in forms.items())]
        for row in rows.to_dict("records")
    ]
    head = ("what", "threads", "processor s", "wall s", "rise of memory, MB", "peak of the process, MB")
    return markdown(head, cells)


def depth() -> str:
    """Return how time and memory grow with the number of planes."""
    rows, cells = read("mit_speed"), []
    for what, part in rows[rows["what"].str.startswith(("attention", "encoder"))].groupby("what", sort=False):
        x = np.log(part["depth"].to_numpy(float))
        memory = np.log(np.maximum(part["peak_rise_mb"].to_numpy(float), 0.1))
        slopes = np.polyfit(x, np.log(part["cpu_s"].to_numpy()), 1)[0], np.polyfit(x[-3:], memory[-3:], 1)[0]
        sizes = [f"{row['cpu_s']:.4f} s, {row['peak_rise_mb']:.0f} MB" for row in part.to_dict("records")]
        cells.append([what, *sizes, *(f"{slope:.2f}" for slope in slopes)])
        planes = [f"{int(n)} planes" for n in part["depth"]]
    return markdown(("what", *planes, "exponent of time", "exponent of memory"), cells)


def against_polar_maps() -> str:
    """Return whether the slices add to the classifier of polar maps."""
    held, versus = read("mit_held_out"), read("mit_versus_polar")
    metrics = [written(held, key) for key in ("auc", "sensitivity", "specificity")]
    first = zip(held["model"], held["n"], held["n_positive"], *metrics, strict=True)
    p = [f"{value:.3f}" for value in versus["p_delong"]]
    second = zip(versus["model"], versus["other"], written(versus, "difference", form="+.3f"), p, strict=True)
    better = ", ".join(versus[versus["earns_its_place"]]["model"])
    decision = withdrawn("mit_slices", AUGMENTATION, "slices") or (
        f"Better than the polar classifier beyond chance: {better}."
        if better
        else "Neither is better than the classifier of polar maps beyond chance: the network stays a recipe, is not "
        "shipped, and `analyze` does not use it."
    )
    return "\n\n".join(
        [
            markdown(("model", "n", "diseased", "AUC", "sensitivity", "specificity"), first),
            markdown(("model", "against", "difference in AUC", "p (DeLong)"), second),
            decision,
        ]
    )
