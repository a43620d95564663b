"""Files of normal limits: written, read and checked; those in the package."""

import io
import json
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from myoperf.errors import InputError
from myoperf.perfusion.normal_limits import BLOCK, MIN_MAPS, Jackknife, LimitsLabel, NormalCutoffs, NormalLimits
from myoperf.text import printable
from myoperf.types import Float

_SCHEMA = "myoperf.limits/1"
_OPTIONAL = ("corrected", "position", "reconstruction", "cutoffs")
"""What files of version 0.2.0 do not hold."""
_FIELDS = (*(field.name for field in fields(LimitsLabel)), "n", "top_ratio", "cutoffs")
_REQUIRED = frozenset(_FIELDS) - frozenset(_OPTIONAL)


def write_limits(path: Path, limits: NormalLimits) -> None:
    """Write limits as one ``.npz``: the arrays as float32, the rest as JSON text.

    Parameters
    ----------
    path
        File to write, ending in ``.npz``; `read_limits` reads it, and ``myoperf analyze --limits`` its folder.
    limits
        From `myoperf.perfusion.build_limits`.
    """
    values = {field: getattr(limits, field) for field in _FIELDS}
    if limits.cutoffs is not None:
        values["cutoffs"] = asdict(limits.cutoffs)
    about = json.dumps({"schema": _SCHEMA} | values, sort_keys=True)
    arrays = {key: getattr(limits, key).astype(np.float32) for key in ("mean", "sd", "mad")}
    if (left_out := limits.jackknife) is not None:  # as differences from all, which half precision holds
        arrays["jackknife_mean"] = (left_out.mean - limits.mean).astype(np.float16)
        arrays["jackknife_mad"] = (left_out.mad - limits.mad).astype(np.float16)
        arrays["jackknife_top_ratio"] = left_out.top_ratio.astype(np.float32)
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
            groups = {key: stored[key].astype(np.float64) for key in _JACKKNIFE if key in stored}
    except _UNREADABLE as error:
        raise InputError(f"{label} holds no normal limits ({type(error).__name__}).") from error
    if about.pop("schema", None) != _SCHEMA:
        raise InputError(f"{label} is not of the schema {_SCHEMA}.")
    if not _REQUIRED <= set(about) <= set(_FIELDS):
        raise InputError(
            f"{label} is damaged: normal limits hold {', '.join(_FIELDS)}; got {printable(', '.join(sorted(about)))}."
        )
    cutoffs = about.pop("cutoffs", None)
    wrong = _first_wrong(about, arrays) or _wrong_cutoffs(cutoffs) or _wrong_jackknife(groups, arrays["mean"])
    if wrong:
        raise InputError(f"{label} cannot be normal limits: {wrong}. Build them again by `myoperf normals build`.")
    return NormalLimits(
        **about,
        **arrays,
        cutoffs=None if cutoffs is None else NormalCutoffs(**cutoffs),
        jackknife=_jackknife(groups, arrays),
    )


_JACKKNIFE = ("jackknife_mean", "jackknife_mad", "jackknife_top_ratio")


def _jackknife(groups: Mapping[str, Float], arrays: Mapping[str, Float]) -> Jackknife | None:
    """Return the limits with groups left out, which are stored as differences; None where a file has none."""
    if not groups:
        return None
    mean, mad, top = (groups[key] for key in _JACKKNIFE)
    return Jackknife(arrays["mean"] + mean, arrays["mad"] + mad, top)


def _wrong_jackknife(groups: Mapping[str, Float], mean: Float) -> str:
    """Return what is impossible about the groups left out; empty where nothing is or there are none."""
    if not groups:
        return ""
    if set(groups) != set(_JACKKNIFE):
        return f"the groups left out need {', '.join(_JACKKNIFE)}"
    count = groups["jackknife_top_ratio"].size
    right = all(groups[key].shape == (count, *mean.shape) for key in _JACKKNIFE[:2]) and count > 1
    finite = all(np.isfinite(array).all() for array in groups.values())
    return "" if right and finite else "the groups left out must be finite and of the grid of the mean"


def _wrong_cutoffs(cutoffs: object) -> str:
    """Return what is impossible about the cut-offs; empty where nothing is or there are none."""
    if cutoffs is None:
        return ""
    names = {field.name for field in fields(NormalCutoffs)}
    if not isinstance(cutoffs, dict) or set(cutoffs) != names:
        return f"cut-offs hold {', '.join(sorted(names))}"
    needed = {name: cutoffs[name] for name in names - {"sds", "tid_ratio"}}
    values = [*needed.values(), *(cutoffs[name] for name in ("sds", "tid_ratio") if cutoffs[name] is not None)]
    possible = all(isinstance(value, int | float) and 0 < value <= 1000 for value in values)
    return "" if possible else "cut-offs must be numbers above 0"


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
    SyntaxError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
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
        f"{' and '.join(texts)} must be text on one line": all(
            isinstance(text := about[t], str) and text != "" and text.isprintable() for t in texts
        ),
        "the state must be stress or rest": about["state"] in ("stress", "rest"),
        "the sex must be M, F or null": about["sex"] in ("M", "F", None),
        "tracer, camera and reconstruction must be text or null": all(
            isinstance(about.get(t), str | None) for t in ("tracer", "camera", "reconstruction")
        ),
        "corrected must be true, false or null": about.get("corrected") in (True, False, None),
        "the position must be supine, prone or null": about.get("position") in ("supine", "prone", None),
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
