"""The grid of models of Hajianfar et al. 2025: networks, inputs, augmentation and strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from myoperf.errors import InputError
from myoperf.research.label_strategies.polar_fusion import INPUTS, NETWORKS, FusionInput

STRATEGIES = ("task 1", "1", "2", "3", "4", "5", "6")
"""Task 1: expert labels. Task 2, angiography: 1 the 141 patients; 2 with the 659 expert-labelled ones; 3 those spread
over training and validation; 4 as 1, started from task 1; 5 with the 659 pseudo-labelled by the model of 1; 6 by that
of 4."""
_FIRST = {"4": "task 1", "5": "1", "6": "4"}


@dataclass(frozen=True)
class Job:
    """One model of the grid."""

    network: str
    fusion: FusionInput
    augmented: bool
    strategy: str

    @property
    def key(self) -> str:
        """The model's name in files and tables of predictions."""
        name = f"{self.network}-{self.fusion}-{'augmented' if self.augmented else 'plain'}-{self.strategy}"
        return name.replace(" ", "-").lower()

    @property
    def needs(self) -> Job | None:
        """The job whose weights this one starts from (strategy 4) or whose labels it learns (5 and 6)."""
        first = _FIRST.get(self.strategy)
        return None if first is None else Job(self.network, self.fusion, self.augmented, first)

    @property
    def rank(self) -> int:
        """How many jobs have to be done before this one; jobs of one rank may run in any order."""
        return 0 if self.needs is None else 1 + self.needs.rank

    @property
    def factors(self) -> dict[str, str]:
        """The job's columns in tables."""
        return {
            "strategy": self.strategy,
            "network": self.network,
            "input": self.fusion,
            "augmentation": "with" if self.augmented else "without",
        }


def with_needs(strategies: Sequence[str]) -> tuple[str, ...]:
    """Return strategies, in their order in the list, with those whose models they start from or learn from."""
    needed = set(strategies)
    while more := {_FIRST[name] for name in needed if name in _FIRST} - needed:
        needed |= more
    return tuple(name for name in STRATEGIES if name in needed)


def list_jobs(
    networks: Sequence[str] = NETWORKS,
    inputs: Sequence[FusionInput] = INPUTS,
    strategies: Sequence[str] = STRATEGIES,
    augmented: Sequence[bool] = (False, True),
) -> tuple[Job, ...]:
    """List the trainings of the grid, each after the one whose weights or labels it needs.

    Raises
    ------
    InputError
        Where a strategy is listed without, or before, the one that it needs.

    Examples
    --------
    >>> len(list_jobs(NETWORKS[:2], ("stress",), STRATEGIES[:1]))
    4
    """
    jobs = [Job(n, i, a, s) for s, n, i, a in product(strategies, networks, inputs, augmented)]
    place = {job: index for index, job in enumerate(jobs)}
    for job in jobs:
        if job.needs is not None and place.get(job.needs, len(jobs)) > place[job]:
            raise InputError(f"Strategy {job.strategy} needs {job.needs.strategy} before it in the list.")
    return tuple(jobs)
