"""Keep the weights of the best epoch."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor


class HasWeights(Protocol):
    """A module, or what behaves like one."""

    def state_dict(self) -> Any:
        """Return the weights by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        """Take weights by name."""


class BestEpoch:
    """The best epoch of a training, and the modules' weights after it.

    Call `record` after every epoch and `restore` at the end.

    Parameters
    ----------
    modules
        What is trained.

    Attributes
    ----------
    scores
        What was recorded, one tuple an epoch.
    epoch
        Index of the best epoch.
    """

    def __init__(self, *modules: HasWeights) -> None:
        self.scores: list[tuple[float, ...]] = []
        self.epoch = 0
        self._modules = modules
        self._weights: list[dict[str, Tensor]] = []

    def record(self, *score: float) -> None:
        """Note an epoch; the highest first value is best, of equals the highest second one, and so on.

        Of epochs that are equal in all values the first is kept.
        """
        self.scores.append(score)
        if len(self.scores) == 1 or score > self.scores[self.epoch]:
            self.epoch = len(self.scores) - 1
            self._weights = [{k: v.detach().clone() for k, v in m.state_dict().items()} for m in self._modules]

    def restore(self) -> None:
        """Load the weights of the best epoch into the modules."""
        for module, weights in zip(self._modules, self._weights, strict=True):
            module.load_state_dict(weights, strict=True)
