"""What the page shows of an analysis: stacks of slices, raw views, surfaces and polar maps as binary arrays, and one
JSON that describes them.

An array is sent as it is stored: four bytes (little-endian) with the length of a JSON header, the header, and the
numbers in the machine's common order (little-endian, C order). The page draws any plane through any stack by its
``lps_from_index``; no axis is turned there.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.geometry import index_from_lps, short_axis, transform_points
from myoperf.quantities import Quantity, quantities
from myoperf.report.bullseye import segment_centre
from myoperf.report.cine import gated_maximum
from myoperf.report.content import scored_scan, scores_of
from myoperf.report.contract import STATES, plain
from myoperf.report.figures import defect_mask, in_percent, percent_map
from myoperf.report.numbers import NORMAL_RESERVE, normal_range, outside
from myoperf.report.study_findings import findings_of_study
from myoperf.report.tables import state_title
from myoperf.report.tiles import lv_maximum
from myoperf.segments import SEGMENT_NAMES, segment_map
from myoperf.types import Float, Projections, Report, ScanResult, Volume

_HEART_MM, _GATED_MM = 3.0, 4.0
_STEPS = 65535
"""Counts are sent as 16-bit numbers, a fraction of the stack's highest value."""

OF_IMAGE, OF_POSE, OF_WALL = ("volume", "raw"), ("heart", "gated"), ("surface", "gated-surface")
"""What stands before the scan's name in the roles of arrays that depend on the scan alone, on its pose too, and on the
limits of its wall too. Polar maps depend on the whole study.
"""
SCENE = "scene"
"""Role of the JSON that describes an analysis to the page."""


def pack(array: NDArray[Any], **header: Any) -> bytes:
    """Return an array with a JSON header, as the page reads it (float32, uint16 or uint8).

    Examples
    --------
    >>> unpack(pack(np.arange(3, dtype=np.float32), unit="mm"))
    ({'unit': 'mm', 'dtype': 'float32', 'shape': [3]}, array([0., 1., 2.], dtype=float32))
    """
    text = json.dumps({**header, "dtype": array.dtype.name, "shape": list(array.shape)}, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)  # numbers start at a multiple of four bytes, as the browser's arrays need
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return len(text).to_bytes(4, "little") + text + little.tobytes()


def unpack(data: bytes) -> tuple[dict[str, Any], NDArray[Any]]:
    """Return the header and the array of `pack`."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    return header, np.frombuffer(data[4 + length :], dtype=header["dtype"]).reshape(header["shape"])


def arrays_of(report: Report, *, without: Collection[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield the arrays that the page shows of an analysis, packed, by their role such as ``"heart/stress"``.

    Parameters
    ----------
    without
        Roles that are not made.
    """
    for result in report.results:
        for kind, make in _PICTURES.items():
            role = f"{kind}/{result.name}"
            array = None if role in without else make(result)
            if array is not None:
                yield role, array
        yield from _maps(result, report)


def scene_of(report: Report) -> dict[str, Any]:
    """Return what the page has to know of an analysis besides its arrays, ready for JSON."""
    scores = report.scores
    return {
        "scans": [_scan(result) for result in report.results],
        "scored": _scored(report),
        "scores": {
            "stress": _whole_numbers(scores.stress_scores),
            "rest": _whole_numbers(scores.rest_scores),
            "summary": scores.summary,
            "category": scores.category,
            "compared": scores.sds is not None,
            "limits": None if scores.normal_limits is None else plain(vars(scores.normal_limits)),
        },
        "segments": [
            {"name": name, "centre": list(segment_centre(number))} for number, name in enumerate(SEGMENT_NAMES, start=1)
        ],
        "numbers": list(_numbers(report)),
        "findings": [plain(vars(finding)) for finding in findings_of_study(report)],
        "flow_reserve": None if scores.flow_reserve is None else plain(np.round(scores.flow_reserve.segments, 3)),
        "diagnosis": _diagnosis(report),
        "myoperf": report.provenance.myoperf,
    }


def row_of(report: Report) -> dict[str, Any]:
    """Return what the worklist shows of an analysis: columns of `myoperf.web.database.studies`."""
    scores, study = report.scores, report.study
    scored = [r for r in report.results if r.function is not None]
    function = scored[0].function if scored else None
    findings = [*report.findings, *(f for r in report.results for f in r.findings)]
    return {
        "patient_id": study.patient_id,
        "sex": study.sex,
        "age_years": study.age_years,
        "scans": ", ".join(result.name for result in report.results)[:100],
        "category": scores.category,
        "sss": scores.sss,
        "sds": scores.sds,
        "tpd_stress_percent": plain(scores.tpd_stress_percent),
        "lvef_percent": None if function is None else plain(function.lvef_percent),
        "warnings": sum(finding.severity != "info" for finding in findings),
    }


def _stack(volume: Volume, **header: Any) -> bytes:
    """Pack a stack of slices as 16-bit numbers, with the count that one step stands for."""
    array = np.maximum(np.asarray(volume.array, dtype=np.float32), 0.0)
    step = float(array.max()) / _STEPS or 1.0
    numbers = np.rint(array / step).astype(np.uint16)
    return pack(numbers, step=step, lps_from_index=volume.lps_from_index.tolist(), **header)


def _heart(result: ScanResult) -> bytes:
    """Return the heart alone, smoothly interpolated."""
    return _stack(short_axis(result.volume, result.frame, spacing_mm=_HEART_MM, order=3))


def _volume(result: ScanResult) -> bytes:
    """Return the whole volume as it is."""
    return _stack(result.volume)


def _gated(result: ScanResult) -> bytes | None:
    """Return the heart of a gated scan gate by gate."""
    gated = result.gated_volume
    return None if gated is None else _stack(short_axis(gated, result.frame, spacing_mm=_GATED_MM))


def _raw_views(result: ScanResult) -> bytes | None:
    """Return raw views summed over gates, row 0 nearest the head, as they were analysed."""
    views = result.scan.image
    if not isinstance(views, Projections):
        return None
    counts = np.maximum(views.summed().array[0].astype(np.float32), 0.0)
    step = float(counts.max()) / _STEPS or 1.0
    numbers = np.rint(counts / step).astype(np.uint16)
    return pack(numbers, step=step, angles_deg=views.angles_deg.tolist(), heart=_heart_rows(result, counts.shape[1]))


def _heart_rows(result: ScanResult, rows: int) -> list[float] | None:
    """Return the shares of the views' height between which the ventricle lies; None where planes are not rows."""
    if result.volume.grid_shape[0] != rows:
        return None
    planes = transform_points(index_from_lps(result.volume.lps_from_index), result.polar.mid_wall_mm.reshape(-1, 3))
    return [float((edge + 0.5) / rows) for edge in (planes[:, 0].min(), planes[:, 0].max())]


def _surface(result: ScanResult) -> bytes:
    """Return inner and outer surface of the wall: shape (1, 2, rings, angles, 3), LPS."""
    polar = result.polar
    half = 0.5 * polar.thickness_mm[..., None] * _outwards(polar.mid_wall_mm)
    both = np.stack([polar.mid_wall_mm - half, polar.mid_wall_mm + half])[None]
    return pack(both.astype(np.float32))


def _gated_surface(result: ScanResult) -> bytes | None:
    """Return the surfaces of every gate: shape (gates, 2, rings, angles, 3)."""
    if result.function is None or result.function.surfaces is None:
        return None
    inner, middle = result.function.surfaces.endocardium_mm, result.function.surfaces.mid_wall_mm
    return pack(np.stack([inner, 2.0 * middle - inner], axis=1).astype(np.float32))


_PICTURES: Mapping[str, Callable[[ScanResult], bytes | None]] = {
    "heart": _heart,
    "volume": _volume,
    "gated": _gated,
    "raw": _raw_views,
    "surface": _surface,
    "gated-surface": _gated_surface,
}
"""How each picture of a scan is made; None where the scan has none."""


def _outwards(points: Float) -> Float:
    """Return unit normals of a closed bowl of points (rings, angles, 3), away from its inside."""
    along = np.gradient(points, axis=0)
    around = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    normal = np.cross(along, around)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    outside = np.sum(normal * (points - points.mean(axis=(0, 1))), axis=-1)
    return np.asarray(normal * (1.0 if outside.mean() > 0 else -1.0))


def _maps(result: ScanResult, report: Report) -> Iterator[tuple[str, bytes]]:
    """Polar maps (rings, angles), ring 0 at the apex, angle 0 anterior and rising through the septum."""

    def packed(kind: str, values: Float, unit: str, low: float, high: float) -> tuple[str, bytes]:
        return f"polar-{kind}/{result.name}", pack(np.asarray(values, np.float32), unit=unit, low=low, high=high)

    yield packed("uptake", percent_map(result), "%", 0.0, 100.0)
    scores = scores_of(report, result)
    severity = {"stress": scores.stress_severity, "rest": scores.rest_severity}.get(result.state or "")
    deviation = {"stress": scores.stress_deviation, "rest": scores.rest_deviation}.get(result.state or "")
    if deviation is not None:
        yield packed("deviation", deviation, "SD", -5.0, 5.0)
    if severity is not None:
        yield packed("severity", severity, "of 4", 0.0, 4.0)
        if scores.verdict is not None:
            black = np.where(defect_mask(severity, scores.verdict), 0.0, percent_map(result))
            yield packed("below", black, "%", 0.0, 100.0)
    if result.name == _scored(report).get("rest") and report.scores.compared_rest is not None:
        yield packed("compared", in_percent(report.scores.compared_rest), "%", 0.0, 100.0)
    function = result.function
    if function is not None and function.synchrony is not None:
        yield packed("phase", function.synchrony.phase_map_deg, "°", 0.0, 360.0)
    if function is not None and function.wall is not None:
        rings, angles = result.polar.rings, result.polar.angles
        number = segment_map(rings, angles) - 1
        yield packed("thickening", np.asarray(function.wall.thickening_percent)[number], "%", 0.0, 100.0)
        yield packed("motion", np.asarray(function.wall.motion_mm)[number], "mm", 0.0, 12.0)


def _scan(result: ScanResult) -> dict[str, Any]:
    frame, function = result.frame, result.function
    curve = None if function is None or function.curve is None else function.curve
    return {
        "name": result.name,
        "title": state_title(result),
        "state": result.state,
        "gates": 0 if result.gated_volume is None else result.gated_volume.frames,
        "raw": isinstance(result.scan.image, Projections),
        "lv_frame": {name: plain(getattr(frame, name)) for name in ("apex_mm", "base_mm", "anterior")},
        "lv_maximum": lv_maximum(result),
        "gated_maximum": None if result.gated_volume is None else gated_maximum(result),
        "mid_wall_mm": plain(np.round(result.polar.mid_wall_mm[::2, ::4], 1)),
        "segments_percent": plain(np.round(np.asarray(result.segments_percent, np.float64), 1)),
        "flow_ml_min_g": None if result.flow is None else plain(np.round(result.flow.mbf_ml_min_g, 3)),
        "volumes_ml": None if function is None else plain(function.volumes_ml),
        "curve": None if curve is None else {"time": plain(curve.time_cycles[::6]), "ml": plain(curve.volume_ml[::6])},
        "findings": [plain(vars(finding)) for finding in result.findings],
    }


def _diagnosis(report: Report) -> dict[str, Any] | None:
    """Return the network's probabilities, null where it abstained; None where it was not run."""
    found = report.diagnosis
    if found is None:
        return None
    return {
        "per_patient": plain(found.per_patient),
        "per_vessel": plain(found.per_vessel),
        "abstained": found.abstained,
        "reason": found.reason,
    }


def _scored(report: Report) -> dict[str, str]:
    """Return the state -> the name of the scan that the study's scores are of."""
    found = {state: scored_scan(report, state) for state in STATES}
    return {state: scan.name for state, scan in found.items() if scan is not None}


def _numbers(report: Report) -> Iterator[Mapping[str, Any]]:
    """Yield the numbers that a reader looks for, each with its values by column, intervals and where normal ends."""
    rows: dict[str, dict[str, Any]] = {}
    scored = _scored(report)
    for quantity in quantities("study", page="numbers"):
        value = quantity.read(report.scores)
        if value is not None:
            column = scored.get(quantity.state, "")
            row = rows.setdefault(quantity.row, _number_row(report, quantity.row, quantity.unit, quantity.digits))
            row["values"][column] = _number(report, "scores", quantity.name, value)
            row["published"] = row["published"] or quantity.normal
            row["values"].update(_own_scores(report, quantity))
    for quantity in quantities("scan", page="numbers"):
        for result in report.results:
            value = quantity.read(result)
            if value is not None and not quantity.per:
                row = rows.setdefault(
                    quantity.label, _number_row(report, quantity.row, quantity.unit, quantity.digits, quantity.label)
                )
                row["values"][result.name] = _number(report, result.name, quantity.name, value)
                row["published"] = quantity.normal
    yield from rows.values()
    yield from _flow_numbers(report)


def _own_scores(report: Report, quantity: Quantity) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a score of each further scan of its state (prone, corrected for attenuation), by the scan's name."""
    for result in report.results:
        own = report.scan_scores.get(result.name)
        value = None if own is None or result.state != quantity.state else quantity.read(own)
        if value is not None:
            yield result.name, _number(report, result.name, quantity.name, value)


def _flow_numbers(report: Report) -> Iterator[Mapping[str, Any]]:
    """Yield the blood flow of the whole ventricle and its reserve, where they were measured."""
    flows = {r.name: r.flow.territories_ml_min_g.get("global") for r in report.results if r.flow is not None}
    if flows:
        row = _number_row(report, "Blood flow, whole ventricle (MBF)", "ml/min/g", 2)
        row["values"] = {name: _number(report, name, "flow.global", value) for name, value in flows.items()}
        yield row
    reserve = report.scores.flow_reserve
    if reserve is not None and (value := reserve.territories.get("global")) is not None:
        row = _number_row(report, "Myocardial flow reserve (MFR)", "ratio", 2) | {"normal": f"≥ {NORMAL_RESERVE:.1f}"}
        low = {"flag": "low"} if value < NORMAL_RESERVE else {}
        row["values"] = {"": _number(report, "scores", "flow_reserve.global", value) | low}
        yield row


def _number_row(report: Report, row: str, unit: str, digits: int, label: str = "") -> dict[str, Any]:
    """Return a row of the numbers, still without values; `row` is its name in the report's table."""
    normal = normal_range(report, row)
    return {"label": label or row, "unit": unit, "digits": digits, "normal": normal, "published": "", "values": {}}


def _number(report: Report, owner: str, name: str, value: Any) -> dict[str, Any]:
    """Return a number with its interval, and on which side of normal it lies."""
    interval, side = report.intervals.get(owner, {}).get(name), outside(report, name, value)
    around = {} if interval is None else {"low": plain(interval.low), "high": plain(interval.high)}
    return {"value": plain(value), **around, **({"flag": side} if side else {})}


def _whole_numbers(scores: tuple[int, ...] | None) -> list[int] | None:
    return None if scores is None else [int(score) for score in scores]
