"""The verdict of a study: the one decision that every word, category and colour of a report follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from myoperf.types.basics import Array, State

Category = Literal[
    "normal",
    "mildly abnormal",
    "moderately abnormal",
    "severely abnormal",
    "extensive disease not excluded",
    "not reliable",
]
Size = Literal["small", "medium", "large"]
Depth = Literal["mild", "moderate", "severe"]
Kind = Literal["reversible", "mixed", "fixed"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Defect:
    """One connected part of the wall below the normal limits.

    Attributes
    ----------
    state
        The state in whose map it lies.
    site
        The walls and levels that hold most of it, such as ``"mid and basal inferior"``.
    vessels
        The territories that hold most of it, the largest part first.
    segments
        AHA segments that it touches by a third of their area or more.
    extent_percent, size
        Its share of the ventricle, and that share in words: small below 10 %, medium below 20 %.
    mean_severity, severity
        Mean over its samples, 0 to 4; and in words, by the severity that a quarter of it passes: mild below 1, moderate
        below 2.
    tpd_percent
        Its part of the TPD.
    kind
        How much of it is gone at rest: 70 % or more reversible, under 30 % fixed, else mixed; None where stress and
        rest were not compared.
    region
        Shape (rings, angles), bool: its samples.
    """

    state: State
    site: str
    vessels: tuple[str, ...]
    segments: tuple[int, ...]
    extent_percent: float
    size: Size
    mean_severity: float
    severity: Depth
    tpd_percent: float
    kind: Kind | None
    region: Array

    @property
    def text(self) -> str:
        """Size, severity, kind, site and territories in words: ``"small severe fixed inferior defect (RCA)"``."""
        kind = {"mixed": "partly reversible"}.get(self.kind or "", self.kind)
        words = (self.size, self.severity, kind, self.site, "defect", f"({', '.join(self.vessels)})")
        return " ".join(word for word in words if word)


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """The values from which numbers are abnormal, and where these cut-offs come from.

    Attributes
    ----------
    tpd_percent, summed_score
        Of the stress map: abnormal from these values on.
    rest_tpd_percent, rest_summed_score
        Of the rest map.
    sds, tid_ratio
        Of the comparison: abnormal from these values on.
    diffuse_percent
        Of the mean loss over the whole wall (`myoperf.perfusion.diffuse_loss`); None where the
        normal patients do not provide one.
    source
        Whose they are, for the report.
    own
        Whether they come from the normal patients of the limits themselves.
    published
        Where they come from the literature all the same: name of the cut-off -> its publication.
    """

    tpd_percent: float
    summed_score: float
    rest_tpd_percent: float
    rest_summed_score: float
    sds: float
    tid_ratio: float
    diffuse_percent: float | None = None
    source: str
    own: bool
    published: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """What a study shows, decided once.

    Attributes
    ----------
    category
        ``"not reliable"`` where the pose is in doubt; ``"extensive disease not excluded"`` where scores and TPD are
        within limits but something else speaks for disease of the whole wall.
    headline
        The finding in words, one or two sentences.
    defects
        The largest first; none where the category is normal or not reliable.
    doubts
        Why the study is not reliable; empty where it is.
    warnings
        What speaks for extensive or balanced disease, as phrases; empty where nothing does.
    cutoffs
        That the category rests on.
    """

    category: Category
    headline: str
    defects: tuple[Defect, ...] = ()
    doubts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cutoffs: Cutoffs

    @property
    def reliable(self) -> bool:
        """Whether pose and orientation are free of doubt."""
        return not self.doubts

    @property
    def abnormal(self) -> bool:
        """Whether perfusion is abnormal."""
        return self.category in ("mildly abnormal", "moderately abnormal", "severely abnormal")
