"""Choose the head by Hyperband, as Hai et al. 2022 did, on features computed once."""

from dataclasses import replace
from typing import Any

from myoperf.research.transfer_learning.training import Examples, Schedule, warm_up


def tune_head(train: Examples, choose_on: Examples, schedule: Schedule, *, trials: int, seed: int) -> dict[str, Any]:
    """Choose units and dropout by Hyperband (Li et al. 2018, arXiv:1603.06560) on features computed once.

    Returns
    -------
    ``units``, ``dropout`` and the ``accuracy`` reached on the choosing pictures.
    """
    import optuna  # an extra of the package

    def objective(trial: Any) -> float:
        units = trial.suggest_categorical("units", [32, 64, 128, 256, 512])
        dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        best, epochs = 0.0, max(1, schedule.warm_epochs // 9)
        for rung in (1, 3, 9):
            tried = replace(schedule, warm_epochs=epochs * rung, units=units, dropout=dropout)
            best = max(best, max(warm_up(train, choose_on, tried, seed=seed).accuracy))
            trial.report(best, rung)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=seed),
            pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
        )
        study.optimize(objective, n_trials=trials)
    finally:
        optuna.logging.set_verbosity(level)
    return {**study.best_params, "accuracy": float(study.best_value)}
