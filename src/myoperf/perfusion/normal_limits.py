"""Normal limits: mean and spread of the polar maps of patients without disease, sample by sample.

Counts have no common unit between patients, so a map is scaled to the normal mean before it is
pooled or scored (`scale_map`): the map is divided by the mean, averaged over small blocks, and the
hottest quarter of these ratios is taken as normal. A defect of up to three quarters of the wall does not
change that scale. Limits hold mean, SD and MAD (mean absolute deviation) of the scaled maps; the
abnormal limit lies `LIMIT_MADS` MAD below the mean, about 2.5 SD of a normal distribution (Slomka et al.,
J Nucl Cardiol 2005, doi:10.1016/j.nuclcard.2004.10.006).
"""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from myoperf.errors import InputError
from myoperf.text import printable
from myoperf.types import Finding, Float, NormalLimitsInfo, PolarMap, State

LIMIT_MADS = 3.0
HOTTEST_SHARE = 0.25
"""Share of the blocks whose ratio to the normal mean sets the scale of a map."""
BLOCK = (3, 6)
"""Rings and angles averaged to a block before the hottest are chosen, so that noise does not decide."""
_PASSES = 4
MIN_MAPS = 10
_SCHEMA = "myoperf.limits/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class LimitsLabel:
    """What normal limits are called, whom they apply to and where they come from.

    Parameters
    ----------
    name, version
        Identify the limits in a report.
    state
        ``"stress"`` or ``"rest"``.
    sex, tracer, camera
        The patients, tracer and camera they apply to; None for any.
    provenance, licence
        Where the maps come from ("simulated ..." when they are) and under which terms.
    """

    name: str
    version: str
    state: State
    sex: str | None = None
    tracer: str | None = None
    camera: str | None = None
    provenance: str
    licence: str


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalLimits(LimitsLabel):
    """Mean and spread of scaled normal polar maps of one protocol.

    Parameters
    ----------
    n
        Number of maps they come from.
    mean, sd, mad
        Shape (rings, angles). `mad` is the mean absolute deviation from the mean.
    top_ratio
        Mean, over the normals, of the hottest quarter's ratio to the mean: above 1, because the
        hottest parts of a map that varies lie above its mean.
    """

    n: int
    mean: Float
    sd: Float
    mad: Float
    top_ratio: float

    def __post_init__(self) -> None:
        if self.mean.ndim != 2 or self.mean.shape != self.sd.shape or self.mean.shape != self.mad.shape:
            raise InputError(f"Normal limits need mean, SD and MAD of one (rings, angles); got {self.mean.shape}.")

    @property
    def info(self) -> NormalLimitsInfo:
        """The part of them that a report names."""
        return NormalLimitsInfo(self.name, self.version, self.n)

    @property
    def lower(self) -> Float:
        """The abnormal limit: mean - `LIMIT_MADS` * MAD, never below a tenth of the mean."""
        return np.asarray(np.maximum(self.mean - LIMIT_MADS * self.mad, 0.1 * self.mean))


def scale_map(values: ArrayLike, limits: NormalLimits) -> Float:
    """Scale a map to the limits: its hottest quarter becomes as high as normal patients' hottest quarter.

    Parameters
    ----------
    values
        Shape (rings, angles), any unit.
    limits
        Of the map's state.

    Returns
    -------
    Shape (rings, angles), in the unit of the limits' mean.

    Raises
    ------
    InputError
        When the map has no positive values or another grid than the limits.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != limits.mean.shape:
        raise InputError(f"The limits' grid {limits.mean.shape} differs from the map's {array.shape}.")
    return np.asarray(array * (limits.top_ratio / _top_ratio(array, limits.mean)))


def _top_ratio(values: Float, mean: Float) -> float:
    """Ratio of a map to a mean over the hottest quarter of its blocks."""
    rings, angles = (size // step * step for size, step in zip(values.shape, BLOCK, strict=True))
    ratio = values[:rings, :angles] / np.maximum(mean[:rings, :angles], 1e-9)
    blocks = ratio.reshape(rings // BLOCK[0], BLOCK[0], angles // BLOCK[1], BLOCK[1]).mean(axis=(1, 3))
    top = float(np.sort(blocks, axis=None)[-max(1, round(HOTTEST_SHARE * blocks.size)) :].mean())
    if not top > 0:
        raise InputError("The polar map holds no counts to scale by.")
    return top


def build_limits(maps: Sequence[PolarMap], label: LimitsLabel) -> NormalLimits:
    """Pool the static maps of patients with a low likelihood of disease.

    Every map is scaled as `scale_map` does, to a mean that is found by repetition, because scale and mean depend on
    each other.

    Parameters
    ----------
    maps
        Static maps of one state, one for each patient, on one grid.
    label
        What the limits are called and whom they apply to.

    Raises
    ------
    InputError
        When there are fewer than ten maps or their grids differ.

    Examples
    --------
    >>> from myoperf.polar import sample_polar_map  # doctest: +SKIP
    >>> maps = [sample_polar_map(one, fit.labels, fit.frame).maximum for one, fit in normals]  # doctest: +SKIP
    >>> label = LimitsLabel(name="ours", version="1", state="rest", provenance="our department", licence="own use")
    >>> write_limits(Path("ours-rest.npz"), build_limits(maps, label))  # doctest: +SKIP
    """
    if len(maps) < MIN_MAPS:
        raise InputError(f"Normal limits need at least {MIN_MAPS} maps; got {len(maps)}.")
    shapes = {polar.values.shape for polar in maps}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        raise InputError(f"Normal maps must be static and share one grid; got {sorted(shapes)}.")
    if any(size < step for size, step in zip(next(iter(shapes)), BLOCK, strict=True)):
        raise InputError(f"Normal limits need maps of {BLOCK[0]} x {BLOCK[1]} samples or more; got {shapes.pop()}.")
    values = np.stack([np.asarray(polar.values, dtype=np.float64) for polar in maps])
    mean = np.ones(values.shape[1:])
    for _ in range(_PASSES):  # the scale depends on the mean and the mean on the scale
        tops = np.array([_top_ratio(one, mean) for one in values])
        mean = (values / tops[:, None, None]).mean(axis=0)
        mean /= mean.max()
    tops = np.array([_top_ratio(one, mean) for one in values])
    scaled = values / tops[:, None, None]
    mean = scaled.mean(axis=0)
    top = float(np.mean([_top_ratio(one, mean) for one in scaled]))
    return NormalLimits(
        **vars(label),
        n=len(maps),
        mean=mean,
        sd=scaled.std(axis=0, ddof=1),
        mad=np.abs(scaled - mean).mean(axis=0),
        top_ratio=top,
    )


_FIELDS = (*(field.name for field in fields(LimitsLabel)), "n", "top_ratio")


def write_limits(path: Path, limits: NormalLimits) -> None:
    """Write limits as one ``.npz``: the arrays as float32, the rest as JSON text.

    Parameters
    ----------
    path
        File to write, ending in ``.npz``; `read_limits` reads it, and ``myoperf analyze --limits`` its folder.
    limits
        From `build_limits`.
    """
    about = json.dumps({"schema": _SCHEMA} | {field: getattr(limits, field) for field in _FIELDS}, sort_keys=True)
    arrays = {key: getattr(limits, key).astype(np.float32) for key in ("mean", "sd", "mad")}
    np.savez_compressed(path, about=np.array(about), **arrays)


def read_limits(source: Path | bytes) -> NormalLimits:
    """Read limits that `write_limits` wrote, and check that their values are possible.

    Parameters
    ----------
    source
        The file, or its bytes.

    Raises
    ------
    InputError
        When the file is not one of normal limits, is damaged, or has values that no normal patients can give; the
        message names the first.
    """
    label = printable(source.name) if isinstance(source, Path) else "The file"
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_FILE:
            raise InputError(f"{label} holds {size} bytes unpacked; normal limits have at most {_LARGEST_FILE}.")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = dict(json.loads(str(stored["about"])))
            arrays = {key: stored[key].astype(np.float64) for key in ("mean", "sd", "mad")}
    except _UNREADABLE as error:
        raise InputError(f"{label} holds no normal limits ({type(error).__name__}).") from error
    if about.pop("schema", None) != _SCHEMA:
        raise InputError(f"{label} is not of the schema {_SCHEMA}.")
    if set(about) != set(_FIELDS):
        raise InputError(
            f"{label} is damaged: normal limits hold {', '.join(_FIELDS)}; got {printable(', '.join(sorted(about)))}."
        )
    wrong = _first_wrong(about, arrays)
    if wrong:
        raise InputError(f"{label} cannot be normal limits: {wrong}. Build them again by `myoperf normals build`.")
    return NormalLimits(**about, **arrays)


_LARGEST_FILE = 2**24
_LARGEST_GRID = (512, 1024)
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What json, numpy and zipfile raise for files that are damaged, encrypted or something else."""


def _first_wrong(about: Mapping[str, object], arrays: Mapping[str, Float]) -> str:
    """Return what is impossible about limits, with what was expected; empty where nothing is."""
    texts = ("name", "version", "provenance", "licence")
    mean, sd, mad = (arrays[key] for key in ("mean", "sd", "mad"))
    n, top = about["n"], about["top_ratio"]
    grids = (BLOCK, mean.shape, _LARGEST_GRID)
    checks = {
        f"{' and '.join(texts)} must be text": all(isinstance(about[t], str) and about[t] for t in texts),
        "the state must be stress or rest": about["state"] in ("stress", "rest"),
        "the sex must be M, F or null": about["sex"] in ("M", "F", None),
        "tracer and camera must be text or null": all(isinstance(about[t], str | None) for t in ("tracer", "camera")),
        f"n must be a whole number from {MIN_MAPS}": isinstance(n, int) and n >= MIN_MAPS and n is not True,
        "the top ratio must lie from 1 to 3": isinstance(top, int | float) and 1 <= top <= 3,
        "mean, SD and MAD must share one (rings, angles)": mean.ndim == 2 and mean.shape == sd.shape == mad.shape,
        f"the grid must have {BLOCK[0]} x {BLOCK[1]} to {_LARGEST_GRID[0]} x {_LARGEST_GRID[1]} samples": mean.ndim == 2
        and all(least <= size <= most for least, size, most in zip(*grids, strict=True)),
        "all values must be finite": all(np.isfinite(array).all() for array in arrays.values()),
        "the mean must lie above 0 and up to 2": bool(((mean > 0) & (mean <= 2)).all()),
        "the MAD must lie from 0 to the SD": mad.shape == sd.shape and bool(((mad >= 0) & (mad <= sd + 1e-3)).all()),
        "the SD must be below the mean": sd.shape == mean.shape and bool((sd < mean).all()),
    }
    return next((rule for rule, kept in checks.items() if not kept), "")


def read_limits_folder(folder: Path) -> tuple[NormalLimits, ...]:
    """Read all limits in a folder, in the order of their files' names.

    Raises
    ------
    InputError
        Where there are none, or one is damaged.
    """
    files = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder.name} holds no normal limits; expected a folder that `myoperf normals build` wrote.")
    return tuple(read_limits(file) for file in files)


def preferred_limits(users: Sequence[NormalLimits], others: Sequence[NormalLimits]) -> tuple[NormalLimits, ...]:
    """Return the limits to choose from: for each state the user's where there are any, else the others.

    Parameters
    ----------
    users
        The user's own, such as `read_limits_folder` returns.
    others
        Used for the states that the user's do not have, such as `shipped_limits`.
    """
    states = {limits.state for limits in users}
    return (*users, *(limits for limits in others if limits.state not in states))


@cache
def shipped_limits() -> tuple[NormalLimits, ...]:
    """Return the limits in the package. They were built from simulated normal patients, and every report says so.

    Examples
    --------
    >>> sorted({limits.state for limits in shipped_limits()})
    ['rest', 'stress']
    """
    folder = resources.files("myoperf.perfusion") / "limits"
    if not folder.is_dir():
        return ()
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".npz")), key=lambda f: f.name)
    return tuple(read_limits(f.read_bytes()) for f in files)


def choose_limits(
    available: Sequence[NormalLimits],
    *,
    state: State,
    sex: str | None = None,
    tracer: str | None = None,
    camera: str | None = None,
    modality: str | None = None,
) -> tuple[NormalLimits | None, tuple[Finding, ...]]:
    """Choose the nearest limits of a state: by tracer first, then camera, then sex.

    Names are compared by what they mean: "Technetium Tc 99m Sestamibi" is Tc-99m, a "Discovery NM 530c" has CZT
    detectors. A tracer of the same kind (single photon or positron) is nearer than one of the other kind. The kind of
    an unknown tracer follows from the modality ("NM", "PT"), and is single photon without one.

    Parameters
    ----------
    available
        To choose from, such as `shipped_limits` or `preferred_limits`.
    state
        ``"stress"`` or ``"rest"``.
    sex, tracer, camera, modality
        Of the scan, as its file names them; None where unknown.

    Returns
    -------
    (limits, findings). Findings report limits of another protocol and simulated ones; None with a warning where there
    are none of the state.

    Examples
    --------
    >>> limits, findings = choose_limits(shipped_limits(), state="stress", sex="F", tracer="Tc-99m sestamibi")
    >>> limits.state, [finding.code for finding in findings]
    ('stress', ['normal-limits-simulated'])
    """
    of_state = [limits for limits in available if limits.state == state]
    if not of_state:
        return None, (Finding("no-normal-limits", "warning", f"No normal limits are available for {state}."),)

    def fit(limits: NormalLimits) -> tuple[int, int, int]:
        return (
            _tracer_agreement(isotope_of(limits.tracer), isotope_of(tracer), modality),
            _agreement(detector_of(limits.camera), detector_of(camera)),
            _agreement(limits.sex, sex),
        )

    sex, tracer, camera = sex or None, tracer or None, camera or None
    best = max(of_state, key=fit)
    compared = {
        "tracer": (isotope_of(best.tracer), isotope_of(tracer)),
        "camera": (detector_of(best.camera), detector_of(camera)),
        "sex": (best.sex, sex),
    }
    off = [name for name, (held, wanted) in compared.items() if held is not None and _agreement(held, wanted) < 2]
    findings = []
    if off:
        text = f"No normal limits match the {', '.join(off)} of this {state} scan; the nearest ({best.name}) were used."
        findings.append(Finding("normal-limits-nearest", "warning", text))
    if "simulated" in best.provenance.lower():
        text = f"The normal limits ({best.name}, n = {best.n}) were built from simulated patients."
        findings.append(Finding("normal-limits-simulated", "info", text))
    return best, tuple(findings)


def isotope_of(tracer: str | None) -> str | None:
    """Reduce a tracer to its isotope, however it is spelt; an unknown name stays as it is.

    Examples
    --------
    >>> isotope_of("Technetium Tc 99m Sestamibi"), isotope_of("13N ammonia"), isotope_of("xyz")
    ('Tc-99m', 'N-13', 'xyz')
    """
    if tracer is None:
        return None
    letters = "".join(c for c in tracer.lower() if c.isalnum())
    return next((isotope for isotope, mark in _ISOTOPES.items() if re.search(mark, letters)), tracer)


_ISOTOPES = {
    "Tc-99m": r"99m|99tc|tc99|technetium|mibi|sestamibi|tetrofosmin|cardiolite|myoview|teboroxime",
    "Tl-201": r"thall|tl201|201tl",
    "Rb-82": r"rubid|rb82|82rb|cardiogen|ruby",
    "N-13": r"ammonia|n13|13n|nh3",
    "F-18": r"flurpiridaz|fluor|fludeoxy|fdg|f18|18f",
}
"""Isotope -> what its tracers are called, letters and digits alone."""

_CZT = ("czt", "530c", "570c", "d-spect", "dspect", "alcyone", "myospect", "starguide", "veriton")
_KINDS = {"Tc-99m": "single photon", "Tl-201": "single photon", "Rb-82": "PET", "N-13": "PET", "F-18": "PET"}


def detector_of(camera: str | None) -> str | None:
    """Reduce a camera with solid-state detectors to "CZT"; any other name stays as it is.

    Examples
    --------
    >>> detector_of("Discovery NM 530c"), detector_of("Infinia")
    ('CZT', 'Infinia')
    """
    return "CZT" if camera is not None and any(mark in camera.lower() for mark in _CZT) else camera


def _tracer_agreement(held: str | None, wanted: str | None, modality: str | None) -> int:
    """Score 3 for the same tracer, 2 for limits of any, 1 for one of the same kind, 0 for another."""
    same = _agreement(held, wanted)
    if same:
        return same + 1
    kind = _KINDS.get(wanted or "", "PET" if modality == "PT" else "single photon")
    return int(_KINDS.get(held or "") == kind)


def _agreement(held: str | None, wanted: str | None) -> int:
    """Score 2 for the same, 1 for limits that hold for any, 0 for another or an unknown."""
    if held is None:
        return 1
    if wanted is None:
        return 0
    same = held.lower() in wanted.lower() or wanted.lower() in held.lower()
    return 2 if same else 0
