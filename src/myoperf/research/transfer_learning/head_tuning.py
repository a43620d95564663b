"""Choose head and rate by Hyperband before a network is trained, as Hai et al. 2022 did, on features computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from myoperf.research.transfer_learning.training import Examples, Schedule, warm_up

RATE_EXPONENTS = (3, 4)
"""The paper's a: its networks have one or the other (Table 2)."""


@dataclass(frozen=True, kw_only=True)
class TunedHead:
    """What Hyperband chose for a network.

    Attributes
    ----------
    accuracy
        Reached on the choosing pictures.
    """

    units: int
    dropout: float
    rate_exponent: int
    accuracy: float

    def schedule(self, planned: Schedule) -> Schedule:
        """Return a schedule with the head and rate chosen here."""
        return replace(planned, units=self.units, dropout=self.dropout, rate_exponent=self.rate_exponent)


def tune_head(
    train: Examples,
    choose_on: Examples,
    schedule: Schedule,
    *,
    trials: int,
    seed: int,
    exponents: Sequence[int] = RATE_EXPONENTS,
) -> TunedHead:
    """Choose units, dropout and rate by Hyperband (Li et al. 2018, arXiv:1603.06560) on features computed once.

    Parameters
    ----------
    exponents
        The rates 10^-a to choose from.
    """
    import optuna  # an extra of the package

    def objective(trial: Any) -> float:
        units = trial.suggest_categorical("units", [32, 64, 128, 256, 512])
        dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        exponent = trial.suggest_categorical("rate_exponent", list(exponents))
        best, epochs = 0.0, max(1, schedule.warm_epochs // 9)
        for rung in (1, 3, 9):
            tried = replace(schedule, warm_epochs=epochs * rung, units=units, dropout=dropout, rate_exponent=exponent)
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
    return TunedHead(**study.best_params, accuracy=float(study.best_value))
