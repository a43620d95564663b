"""Damaged and odd copies of valid inputs, for every reader, and what the reader makes of them.

A `Target` writes one valid input and reads it. `mutate` changes the files of a folder by one of many kinds of damage,
chosen by a seeded generator; `attempt` reads the folder and says how it ended. Kinds marked as harmless change nothing
that matters for the image: they have to be read like the original.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import struct
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

from myoperf.dicom import quiet_pydicom, save_dataset
from myoperf.errors import MyoPerfError, describe_error
from myoperf.io import read_attenuation, read_studies, write_nifti
from myoperf.io.convert import converted_name, write_converted
from myoperf.io.ct_writer import write_ct
from myoperf.io.nm.writer import write_volume
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.perfusion import read_limits, shipped_limits, write_limits
from myoperf.pipeline import check_free, read_territories
from myoperf.pipeline.cohort import list_inputs
from myoperf.pipeline.prior import compare_prior, read_prior
from myoperf.report import results_json
from myoperf.stats.predictions import read_factors, read_predictions
from myoperf.types import Projections, Volume
from support.dicom import counts_of, item, pet_slices, raw_nm, recon_nm
from support.report import make_report

Generator = np.random.Generator
NASTY = (
    b"",
    b"\0",
    b"abc",
    b"0",
    b"-1",
    b"1e308",
    b"1e-308",
    b"nan",
    b"inf",
    b"-0.0",
    b"1,5",
    b"1\\2",
    b"1\\2\\3\\4\\5\\6\\7",
    b"999999999999",
    b"65535",
    b"=HYPERLINK(1)",
    b"\x1b[2J\n<script>",
    b"\xff\xfe\x00\x80",
    b"9" * 70,
    b"1.2.3\\1.2.4",
)
"""Values that real files have had, and worse."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader with a valid input.

    Parameters
    ----------
    write
        Writes the input into an empty folder.
    read
        Returns what the reader makes of that folder, as plain values and arrays that `same` can compare.
    files
        Pattern of the files that are damaged.
    """

    name: str
    write: Callable[[Path], None]
    read: Callable[[Path], Any]
    files: str = "*"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the reading of a damaged input ended.

    Parameters
    ----------
    kind
        ``right`` (as the original), ``other`` (read, but not the same), ``refused`` or ``fault``.
    cause
        Of a refusal: its code and message without names and numbers; of a fault: its kind and place.
    """

    kind: str
    cause: str = ""
    seconds: float = 0.0


def same(one: Any, other: Any) -> bool:
    """Return whether two results of a reader are equal, arrays to float32 round-off."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-6, atol=1e-4)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def attempt(read: Callable[[Path], Any], folder: Path, expected: Any) -> Outcome:
    """Read a folder and say how it ended."""
    start = time.perf_counter()
    try:
        result = read(folder)
        kind, cause = ("right" if same(result, expected) else "other"), ""
    except MyoPerfError as error:
        kind, cause = "refused", _general(str(error), error.code)
    except Exception as error:
        kind, cause = "fault", describe_error(error)
    return Outcome(kind=kind, cause=cause, seconds=time.perf_counter() - start)


def _general(message: str, code: str) -> str:
    """Return a message without what differs from file to file."""
    text = re.sub(r"\S+\.(dcm|nii\.gz|nii|npz|json|csv|txt)\b:? ?", "", message)
    text = re.sub(r"[-+]?\d[\d.,e+-]*", "N", text)
    return f"{code}: {text[:90].strip()}"


# ------------------------------------------------------------------------------------------------ valid inputs


def _studies(folder: Path) -> Any:
    """Return what `read_studies` makes of a folder: every scan's image and what it was taken for."""
    with quiet_pydicom():
        studies = read_studies(folder).studies
    return [
        (scan.state, scan.framing, scan.orientation, _image(scan.image))
        for study in studies
        for scan in sorted(study.scans, key=lambda scan: scan.source)
    ]


def _image(image: Volume | Projections) -> tuple[Any, ...]:
    if isinstance(image, Volume):
        return np.asarray(image.array), image.lps_from_index
    return np.asarray(image.array), image.angles_deg, image.pixel_mm


def _dicom(make: Callable[[], Dataset | list[Dataset]]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        made = make()
        for number, dataset in enumerate(made if isinstance(made, list) else [made]):
            save_dataset(dataset, folder / f"{number:03d}.dcm")

    return write


def _archive(folder: Path) -> None:
    """Write a reconstruction in a zip archive, in a folder of it."""
    inside = folder / "inside"
    inside.mkdir()
    _dicom(lambda: recon_nm(counts_of(1, 9, 10, 11)))(inside)
    with zipfile.ZipFile(folder / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(inside.iterdir()):
            archive.write(path, f"export/{path.name}")
    shutil.rmtree(inside)


def _medium(folder: Path) -> None:
    """Write a reconstruction and the index of a medium (DICOMDIR) that lists it."""
    save_dataset(recon_nm(counts_of(1, 9, 10, 11)), folder / "IM0001")
    index = Dataset()
    index.FileSetID = "TEST"
    record = item(DirectoryRecordType="IMAGE", ReferencedFileID=["IM0001"])
    index.DirectoryRecordSequence = Sequence([record])
    index.file_meta = FileMetaDataset()
    index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    index.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["medium"])
    index.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    index.save_as(folder / "DICOMDIR", enforce_file_format=True)


def _shape_of_ventricle(*, gates: int) -> Volume:
    values = counts_of(gates, 9, 12, 11).astype(np.float32)
    return Volume(values, np.array([[0, 0, 6.5, -30], [0, 6.5, 0, -40], [-6.5, 0, 0, 20], [0, 0, 0, 1.0]]))


def _short_axis(folder: Path) -> None:
    header = SimulatedHeader(patient_id="SIM-1", state="stress", series_description="Short Axis")
    write_volume(folder / "sa.dcm", _shape_of_ventricle(gates=1), header, orientation="short_axis")


def _nifti(folder: Path) -> None:
    write_nifti(folder / "stress.nii.gz", _shape_of_ventricle(gates=1))


def _converted(make: Callable[[], Dataset]) -> Callable[[Path], None]:
    """Return a writer of a scan as `myoperf convert` writes it: NIfTI, and a JSON file beside it."""

    def write(folder: Path) -> None:
        save_dataset(make(), folder / "scan.dcm")
        scan = read_studies(folder).studies[0].scans[0]
        (folder / "scan.dcm").unlink()
        write_converted(folder / f"{converted_name('stress', scan)}.nii.gz", scan)

    return write


def _with_ct(folder: Path) -> None:
    """Write a reconstruction and the CT that came with it."""
    header = SimulatedHeader(patient_id="SIM-1", state="stress")
    write_volume(folder / "nm.dcm", _shape_of_ventricle(gates=1), header)
    values = counts_of(1, 7, 16, 16).astype(np.float32) - 1000.0
    grid = np.array([[0, 0, 5.0, -40], [0, 5.0, 0, -40], [5.0, 0, 0, 20], [0, 0, 0, 1.0]])
    write_ct(folder / "ct", Volume(values, grid), header, kvp=120.0)
    for path in (folder / "ct").iterdir():
        path.rename(folder / f"ct-{path.name}")
    (folder / "ct").rmdir()


def _read_with_ct(folder: Path) -> Any:
    with quiet_pydicom():
        images = [image for study in read_studies(folder).studies for image in study.attenuation]
        return [(image.kind, _image(read_attenuation(image))) for image in images]


def _cohort_table(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
    (folder / "studies.csv").write_text("path,study,state,sex\none,first,stress,F\ntwo,second,,M\n")


def _read_cohort_table(folder: Path) -> Any:
    return [(one.name, one.path.name, one.state, one.sex) for one in list_inputs(folder / "studies.csv")]


def _prior(folder: Path) -> None:
    (folder / "results.json").write_text(json.dumps(results_json(make_report()), indent=1))


def _read_prior(folder: Path) -> Any:
    changes = compare_prior(make_report(), read_prior(folder / "results.json")).changes
    return [(change.name, change.before, change.exceeds) for change in changes]


def _limits(folder: Path) -> None:
    write_limits(folder / "limits.npz", shipped_limits()[0])


def _read_limits(folder: Path) -> Any:
    limits = read_limits(folder / "limits.npz")
    return limits.n, limits.state, limits.mean, limits.sd, limits.mad, limits.top_ratio


def _result(folder: Path) -> None:
    text = json.dumps({"schema": "myoperf.report/1", "study": {"sex": "F"}, "scans": [{"name": "stress"}]})
    (folder / "results.json").write_text(text)


def _predictions(folder: Path) -> None:
    rows = "".join(f"p{i},{i % 2},{(i * 37 % 100) / 100},{(i * 61 % 100) / 100}\n" for i in range(40))
    (folder / "predictions.csv").write_text(f"patient,truth,first,second\n{rows}")
    (folder / "factors.csv").write_text("model,network,input\nfirst,a,x\nsecond,b,y\n")


def _read_predictions(folder: Path) -> Any:
    read = read_predictions(folder / "predictions.csv")
    return read.models, read.truth, read_factors(folder / "factors.csv", read.models)


def _territories(folder: Path) -> None:
    table = {"LAD": [1, 2, 7, 8, 13, 14, 17], "RCA": [3, 4, 9, 10, 15], "LCX": [5, 6, 11, 12, 16]}
    (folder / "territories.json").write_text(json.dumps(table))


TARGETS = (
    Target(
        name="raw views",
        write=_dicom(lambda: raw_nm(counts_of(1, 2, 6, 9, 10), detector_starts=(225.0, 315.0))),
        read=_studies,
    ),
    Target(name="gated raw views", write=_dicom(lambda: raw_nm(counts_of(4, 1, 6, 9, 10))), read=_studies),
    Target(name="reconstruction", write=_dicom(lambda: recon_nm(counts_of(1, 9, 10, 11))), read=_studies),
    Target(name="gated reconstruction", write=_dicom(lambda: recon_nm(counts_of(4, 9, 10, 11))), read=_studies),
    Target(name="short axis", write=_short_axis, read=_studies),
    Target(name="static PET", write=_dicom(lambda: pet_slices(counts_of(1, 9, 16, 17))), read=_studies),
    Target(
        name="dynamic PET", write=_dicom(lambda: pet_slices(counts_of(5, 8, 16, 17), kind="DYNAMIC")), read=_studies
    ),
    Target(name="zip archive", write=_archive, read=_studies),
    Target(name="NIfTI", write=_nifti, read=_studies),
    Target(name="converted views", write=_converted(lambda: raw_nm(counts_of(2, 1, 6, 9, 10))), read=_studies),
    Target(name="converted volume", write=_converted(lambda: recon_nm(counts_of(2, 9, 10, 11))), read=_studies),
    Target(name="CT of a study", write=_with_ct, read=_read_with_ct, files="ct-*"),
    Target(name="table of studies", write=_cohort_table, read=_read_cohort_table),
    Target(name="earlier result", write=_prior, read=_read_prior),
    Target(name="normal limits", write=_limits, read=_read_limits),
    Target(name="results.json", write=_result, read=lambda folder: check_free(folder, overwrite=True)),
    Target(name="tables of predictions", write=_predictions, read=_read_predictions),
    Target(
        name="territories",
        write=_territories,
        read=lambda folder: sorted(read_territories(str(folder / "territories.json")).items()),
    ),
    Target(name="DICOMDIR", write=_medium, read=lambda folder: _studies(folder / "DICOMDIR"), files="DICOMDIR"),
)


# ------------------------------------------------------------------------------------------------ damage


def mutate(target: Target, folder: Path, rng: Generator) -> tuple[str, bool]:
    """Damage an input in place; return the kind of damage, and whether it is harmless."""
    files = sorted(path for path in folder.glob(target.files) if path.is_file())
    path = files[int(rng.integers(len(files)))]
    kinds: Mapping[str, Callable[[Path, Generator], None]] = _ANY
    if path.suffix == ".dcm":
        kinds = {**_ANY, **_DICOM, **_HARMLESS}
    elif path.name.endswith(".nii.gz"):
        kinds = {**_ANY, **_NIFTI}
    elif path.suffix in (".json", ".csv"):
        kinds = {**_ANY, **_TEXT}
    name = list(kinds)[int(rng.integers(len(kinds)))]
    kinds[name](path, rng)
    return name, name in _HARMLESS


def _bytes_changed(path: Path, rng: Generator) -> None:
    content = bytearray(path.read_bytes())
    for place in rng.integers(min(len(content), 3000), size=int(rng.integers(1, 9))):
        content[place] = int(rng.integers(256))
    path.write_bytes(content)


def _truncated(path: Path, rng: Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(rng.integers(len(content)))])


def _bytes_inserted(path: Path, rng: Generator) -> None:
    content, place = path.read_bytes(), int(rng.integers(min(path.stat().st_size, 3000)))
    path.write_bytes(content[:place] + rng.bytes(int(rng.integers(1, 40))) + content[place:])


def _elements(dataset: Dataset) -> list[tuple[Dataset, Any]]:
    """Return every element outside the pixels, with the dataset that holds it."""
    held = []
    for tag in list(dataset.keys()):
        if tag == 0x7FE00010:
            continue
        held.append((dataset, tag))
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                held += _elements(item)
    return held


def _edited(path: Path, edit: Callable[[Dataset], None]) -> None:
    """Change a DICOM file's elements; one that cannot be written then stays as it was."""
    with quiet_pydicom():
        dataset = pydicom.dcmread(path)
        edit(dataset)
        try:
            dataset.save_as(path, enforce_file_format=False)
        except (ValueError, TypeError, AttributeError, KeyError, OSError):
            return


def _set_raw(holder: Dataset, tag: Any, value: bytes) -> None:
    kind = holder[tag].VR
    holder[tag] = RawDataElement(Tag(tag), kind, len(value), value + b" " * (len(value) % 2), 0, False, True)


def _value_replaced(path: Path, rng: Generator) -> None:
    def edit(dataset: Dataset) -> None:
        held = [(holder, tag) for holder, tag in _elements(dataset) if holder[tag].VR != "SQ"]
        holder, tag = held[int(rng.integers(len(held)))]
        if holder[tag].VR in ("US", "SS"):
            number = int(rng.choice([0, 1, 2, 7, 255, 32767, 65535]))
            _set_raw(holder, tag, struct.pack("<H", number) * int(rng.integers(1, 4)))
        else:
            _set_raw(holder, tag, NASTY[int(rng.integers(len(NASTY)))])

    _edited(path, edit)


def _element_removed(path: Path, rng: Generator) -> None:
    def edit(dataset: Dataset) -> None:
        held = _elements(dataset)
        holder, tag = held[int(rng.integers(len(held)))]
        del holder[tag]

    _edited(path, edit)


def _vector_changed(path: Path, rng: Generator) -> None:
    def edit(dataset: Dataset) -> None:
        vectors = [tag for tag in dataset.keys() if tag.group == 0x0054 and dataset[tag].VR == "US"]  # noqa: SIM118
        if not vectors:
            return
        tag = vectors[int(rng.integers(len(vectors)))]
        values = np.atleast_1d(np.array(dataset[tag].value, dtype=int))
        how = int(rng.integers(4))
        if how == 0:
            values = values[: int(rng.integers(values.size + 1))]
        elif how == 1:
            values[int(rng.integers(values.size))] = int(rng.choice([0, 2, 17, 65535]))
        elif how == 2:
            values = rng.permutation(values)
        else:
            values = np.repeat(values, 2)
        _set_raw(dataset, tag, values.astype("<u2").tobytes())

    _edited(path, edit)


def _geometry_changed(path: Path, rng: Generator) -> None:
    """Replace a number of the geometry by one that is possible, impossible or absurd."""
    names = {
        "PixelSpacing",
        "SpacingBetweenSlices",
        "SliceThickness",
        "ImagePositionPatient",
        "ImageOrientationPatient",
    }
    names |= {"AngularStep", "StartAngle", "ScanArc", "RadialPosition", "Rows", "Columns", "NumberOfFrames"}

    def edit(dataset: Dataset) -> None:
        held = [(holder, tag) for holder, tag in _elements(dataset) if holder[tag].keyword in names]
        if not held:
            return
        holder, tag = held[int(rng.integers(len(held)))]
        numbers = ["0", "-1", "1e-4", "0.4", "3", "7.5", "900", "1e6", "1e300", "1e308", "-1e300"]
        value = [numbers[int(rng.integers(len(numbers)))] for _ in np.atleast_1d(holder[tag].value)]
        if holder[tag].VR == "US":
            _set_raw(holder, tag, struct.pack("<H", int(rng.choice([0, 1, 3, 9, 4000, 65535]))))
        else:
            _set_raw(holder, tag, "\\".join(value).encode())

    _edited(path, edit)


def _text_beside_the_image(path: Path, rng: Generator) -> None:
    """Write odd text into attributes that say nothing about the image."""

    def edit(dataset: Dataset) -> None:
        name = str(rng.choice(["InstitutionName", "OperatorsName", "ReferringPhysicianName", "PatientComments"]))
        setattr(dataset, name, "x")
        _set_raw(dataset, pydicom.datadict.tag_for_keyword(name), NASTY[int(rng.integers(len(NASTY)))])

    _edited(path, edit)


def _private_elements(path: Path, rng: Generator) -> None:
    def edit(dataset: Dataset) -> None:
        block = dataset.private_block(0x0011, "SOME MAKER", create=True)
        for number in range(int(rng.integers(1, 6))):
            block.add_new(number, "OB", rng.bytes(2 * int(rng.integers(1, 50))))

    _edited(path, edit)


def _renamed(path: Path, rng: Generator) -> None:
    path.rename(path.with_name(f"{path.stem}-IM {int(rng.integers(1000))}.IMA"))


def _junk_beside(path: Path, rng: Generator) -> None:
    (path.parent / "thumbs.db").write_bytes(rng.bytes(int(rng.integers(1, 500))))


def _copied(path: Path, rng: Generator) -> None:
    (path.parent / f"zz copy {int(rng.integers(10))}.dcm").write_bytes(path.read_bytes())


def _unpacked_changed(path: Path, rng: Generator) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    for place in rng.integers(352, size=int(rng.integers(1, 5))):
        content[place] = int(rng.integers(256))
    path.write_bytes(gzip.compress(bytes(content), 1))


def _unpacked_truncated(path: Path, rng: Generator) -> None:
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: int(rng.integers(len(content)))], 1))


def _header_number(path: Path, rng: Generator) -> None:
    """Replace a number of a NIfTI header: sizes, type, spacings, offset, scale, codes or rows of the affine."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    if rng.integers(2):
        struct.pack_into(
            "<h",
            content,
            int(rng.choice([40, 42, 44, 46, 48, 70, 72, 252, 254])),
            int(rng.choice([-1, 0, 1, 5, 16, 32767])),
        )
    else:
        place = int(rng.choice([76, 80, 84, 88, 108, 112, 116, 280, 296, 312]))
        struct.pack_into("<f", content, place, float(rng.choice([0.0, -1.0, 1e-4, 1e30, np.nan, np.inf])))
    path.write_bytes(gzip.compress(bytes(content), 1))


def _token_replaced(path: Path, rng: Generator) -> None:
    text = path.read_text()
    tokens = [match.span() for match in re.finditer(r"[\w.]+", text)]
    start, end = tokens[int(rng.integers(len(tokens)))]
    content = text[:start].encode() + NASTY[int(rng.integers(len(NASTY)))] + text[end:].encode()
    path.write_bytes(content)


def _line_removed(path: Path, rng: Generator) -> None:
    lines = path.read_text().splitlines(keepends=True)
    del lines[int(rng.integers(len(lines)))]
    path.write_text("".join(lines))


def _nested(path: Path, rng: Generator) -> None:
    path.write_text(str(rng.choice(["[", '{"a":'])) * int(rng.choice([10, 100_000])))


_ANY = {"bytes changed": _bytes_changed, "truncated": _truncated, "bytes inserted": _bytes_inserted}
_DICOM = {
    "value replaced": _value_replaced,
    "element removed": _element_removed,
    "vector changed": _vector_changed,
    "geometry changed": _geometry_changed,
}
_HARMLESS = {
    "odd text beside the image": _text_beside_the_image,
    "private elements": _private_elements,
    "renamed": _renamed,
    "junk beside": _junk_beside,
    "copied": _copied,
}
_NIFTI = {
    "unpacked bytes changed": _unpacked_changed,
    "unpacked and truncated": _unpacked_truncated,
    "number of the header": _header_number,
}
_TEXT = {"token replaced": _token_replaced, "line removed": _line_removed, "nested": _nested}
