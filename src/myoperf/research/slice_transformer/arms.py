"""The models that tables 3 to 6 of Zhao et al. compare (see `multi_branch`): the transformers by name."""

from dataclasses import dataclass

from myoperf.research.slice_stacks import VIEWS
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.multi_branch import Fusion, MultiBranchConfig


@dataclass(frozen=True)
class Arm:
    """One model of the tables.

    Parameters
    ----------
    name
        As the table shows it.
    tables
        Numbers of the paper's tables it appears in.
    pretrained
        Whether it starts from the checkpoint; left out where there is none.
    """

    name: str
    tables: tuple[int, ...]
    views: tuple[str, ...] = VIEWS
    fusion: Fusion = "average"
    frozen: bool = False
    pretrained: bool = False

    @property
    def key(self) -> str:
        """The model's name in files and options."""
        return key_of(self.name)

    @property
    def columns(self) -> list[int]:
        """Where its views lie in stacks of all views."""
        return [VIEWS.index(view) for view in self.views]

    def config(self, encoder: MiTConfig) -> MultiBranchConfig:
        """Return the structure of its network."""
        return MultiBranchConfig(views=self.views, fusion=self.fusion, encoder=encoder)


def key_of(name: str) -> str:
    """Return a model's name as files and options have it.

    Examples
    --------
    >>> key_of("fusion, average, pre-trained")
    'fusion_average_pre-trained'
    """
    return name.replace(", ", "_").replace(" ", "-")


_SINGLE = tuple((view,) for view in VIEWS)
ARMS = (
    Arm("fusion, average", (3, 4, 5, 6)),
    *(Arm(f"{v[0].upper()} only", (4, 6), views=v) for v in _SINGLE),
    Arm("fusion, average, frozen", (6,), frozen=True),
    *(Arm(f"{v[0].upper()} only, frozen", (6,), views=v, frozen=True) for v in _SINGLE),
    Arm("fusion, concatenation", (5,), fusion="concatenation"),
    Arm("fusion, learnable weights", (5,), fusion="learnable"),
    Arm("fusion, average, pre-trained", (3, 6), pretrained=True),
    Arm("fusion, average, pre-trained, frozen", (6,), frozen=True, pretrained=True),
    *(Arm(f"{v[0].upper()} only, pre-trained, frozen", (6,), views=v, frozen=True, pretrained=True) for v in _SINGLE),
)
"""The transformers of the tables; the convolutional networks of table 3 come as functions."""
