"""Short-axis, long-axis, coronal and sagittal slices are read as what they are, or refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.sequence import Sequence

from myoperf.dicom import code_item
from myoperf.errors import UnsupportedInputError
from myoperf.geometry import affine_from_axes, transaxial, transform_points
from myoperf.io import read_studies
from myoperf.io.slice_views import slice_view_in_text
from myoperf.types import Scan, Volume
from support.dicom import counts_of, recon_nm

SHORT = ["Short Ax", "SA", "SAX", "STRESS_SAX", "ShortAxis", "short axis gated", "Rest SA", "Kurze Achse", "eje corto"]
LONG = [
    *("H Long Ax", "V Long Ax", "HLA", "VLA", "Horizontal Long Axis", "Vertical Long Axis", "HORIZ LONG", "VERT LONG"),
    *("Stress_HLA", "LongAxis", "VLAX", "Grand axe", "HL Axis"),
    *("довга вісь", "по довгій осі", "дълга ос", "дуга оса", "장축", "부하 장축"),
]
SHORT += [
    *("коротка вісь", "къса ос", "кратка оса", "단축", "부하 단축"),
    "Kısa Aks",
    "krátká osa",
    "oś krótka",
    "короткая ось",
    "短軸",
    "短轴",
    "kort axel",
    "Kurzachsenschnitte",
    *("STRESS SAx", "StressSAx", "STRESSSAX", "RESTSAX", "STRSA", "GSAX"),
    "Lyhyt akseli",
]
LONG += [
    "Uzun Aks",
    "dlouhá osa",
    "oś długa",
    "длинная ось",
    "水平長軸",
    "垂直长轴",
    "lång axel",
    "Horizontal LA",
    *(
        "GVLA",
        "RVLA",
        "STRESSHLA",
        "RESTVLA",
        "GATEDHLA",
        "HLAAC",
        "HLONGAX",
        "HORLONGAXIS",
        "LONG_HORIZ",
        "Long Vertical",
    ),
    *("LA vert", "длинная горизонтальная ось", "dlouhá horizontální osa"),
    "Langachse",
    *("LA", "L.A.", "Stress LA", "LA gated", "REST_LA_AC", "L.A.X.", "H.L.A.", "V.L.A", "Stress H.L.A.", "LAX", "L Ax"),
    *("4CH", "4 CH", "STRESS_4CH", "2ch", "4-chamber", "Four Chamber", "two chamber view", "3 chamber", "4Ch AC"),
    *("Vierkammerblick", "4-Kammer", "4 cavités", "4 cavidades", "quattro camere", "4камерная", "四腔心"),
]
SHORT += ["S.A.", "S.A.X.", "Stress S.A", "Rest S.A.X", "S-AX", "S/A"]
NEITHER = [
    "Stress",
    *("Hospital La Paz", "Estres la paz", "Stress 14 ch", "4 change", "Matrix 4x", "4 channels", "CHAMBER", "LA PAZ"),
    "SGATE",
    "Rest SPECT AC",
    "Salah",
    "long acquisition",
    "Short protocol",
    "ReconStress gate",
    "LAT",
    "SAC",
    "VLAD",
]


def slices(image_id=None, *, oriented=True, planes=7):
    dataset = recon_nm(counts_of(1, planes, 8, 9))
    if image_id is not None:
        dataset.ImageID = image_id
    if not oriented:
        detector = dataset.DetectorInformationSequence[0]
        del detector.ImageOrientationPatient
        del detector.ImagePositionPatient
    return dataset


def read(path) -> Scan:
    return read_studies([path]).studies[0].scans[0]


def codes(scan):
    return [finding.code for finding in scan.findings]


def test_descriptions_name_slices_or_nothing():
    assert {slice_view_in_text(text) for text in SHORT} == {"short_axis"}
    assert {slice_view_in_text(text) for text in LONG} == {"long_axis"}
    assert {slice_view_in_text(text) for text in NEITHER} == {None}


@pytest.mark.parametrize("oriented", [True, False])
def test_short_axis_names_are_read_with_and_without_a_nominal_orientation(save, oriented):
    scan = read(save(slices("Short Ax", oriented=oriented)))
    assert scan.orientation == "short_axis"
    assert "orientation-nominal" in codes(scan)
    assert ("position-missing" in codes(scan)) is not oriented


@pytest.mark.parametrize("oriented", [True, False])
@pytest.mark.parametrize("keyword", ["ImageID", "SeriesDescription", "code", "direction"])
def test_long_axis_slices_are_refused(save, oriented, keyword):
    dataset = slices("STRESS", oriented=oriented)
    if keyword == "code":
        view = code_item("131186000", "SCT", "Horizontal Long Axis")
        dataset.DetectorInformationSequence[0].ViewCodeSequence = Sequence([view])
    elif keyword == "direction":
        dataset.SliceProgressionDirection = "ANT_TO_INF"
    else:
        setattr(dataset, keyword, "V Long Ax")
    with pytest.raises(UnsupportedInputError, match="long-axis slices"):
        read(save(dataset))


def test_image_id_is_trusted_before_the_series_description(save):
    dataset = slices("Short Axis")
    dataset.SeriesDescription = "SA HLA VLA"
    assert read(save(dataset)).orientation == "short_axis"
    dataset.ImageID = "STRESS"
    with pytest.raises(UnsupportedInputError, match="both short and long axis"):
        read(save(dataset, "both.dcm"))


def test_slices_from_base_to_apex_lie_where_those_from_apex_to_base_lie(save):
    values = counts_of(1, 7, 8, 9)
    there, back = recon_nm(values), recon_nm(values[:, ::-1])
    for dataset, direction in ((there, "APEX_TO_BASE"), (back, "BASE_TO_APEX")):
        dataset.ImageID, dataset.SliceProgressionDirection = "Short Axis", direction
    one, other = read(save(there, "there.dcm")).image, read(save(back, "back.dcm")).image
    index = np.array([1.0, 3.0, 4.0])
    assert one.array[0, 1, 3, 4] == other.array[0, 5, 3, 4]
    assert_allclose(
        transform_points(other.lps_from_index, [6.0, 0, 0] - index * [1, -1, -1]),
        transform_points(one.lps_from_index, index),
    )


def test_a_direction_that_contradicts_the_orientation_is_said(save):
    along, down = np.array([0.6, 0.64, 0.48]), np.array([0.0, 0.6, -0.8])  # the normal points from base to apex
    dataset = recon_nm(counts_of(1, 11, 8, 9), spacing=4.0)
    dataset.DetectorInformationSequence[0].ImageOrientationPatient = [*along, *down]
    dataset.ImageID, dataset.SliceProgressionDirection = "SAX", "BASE_TO_APEX"
    expected = bool(np.cross(along, down) @ [-0.66, 0.62, 0.42] > 0)
    assert ("slice-direction" in codes(read(save(dataset, "a.dcm")))) is expected
    dataset.SliceProgressionDirection = "APEX_TO_BASE"
    assert ("slice-direction" in codes(read(save(dataset, "b.dcm")))) is not expected


@pytest.mark.parametrize(
    ("cosines", "order"),
    [([1, 0, 0, 0, 0, -1], (1, 0, 2)), ([0, 1, 0, 0, 0, -1], (1, 2, 0)), ([0, -1, 0, 0, 0, 1], (1, 2, 0))],
    ids=["coronal", "sagittal", "sagittal turned"],
)
def test_coronal_and_sagittal_stacks_are_the_transaxial_volume(save, cosines, order):
    dataset = recon_nm(counts_of(1, 7, 8, 9), spacing=6.0)
    detector = dataset.DetectorInformationSequence[0]
    detector.ImageOrientationPatient = cosines
    stored = counts_of(1, 7, 8, 9)[0]
    scan = read(save(dataset))
    assert scan.orientation == "transaxial"
    assert "oblique-planes" not in codes(scan)
    axes = scan.image.lps_from_index[:3, :3] / scan.image.spacing_mm
    assert_allclose(axes, [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], atol=1e-9)
    along, down = np.reshape(cosines, (2, 3)).astype(float)
    place = np.array([-50.0, -190.0, 600.0]) + 2 * 6.0 * np.cross(along, down) + 3 * 6.5 * down + 4 * 6.0 * along
    index = np.linalg.solve(scan.image.lps_from_index, [*place, 1.0])[:3].round().astype(int)
    assert scan.image.array[0][tuple(index)] == stored[2, 3, 4]
    assert scan.image.grid_shape == tuple(np.array((7, 8, 9))[list(order)])


def test_oblique_slices_along_the_heart_are_refused_without_a_name(save):
    axis, up = np.array([-0.66, 0.62, 0.42]), np.array([0.0, 0.0, 1.0])
    axis /= np.linalg.norm(axis)
    down = -(up - axis * (up @ axis))
    down /= np.linalg.norm(down)
    dataset = recon_nm(counts_of(1, 8, 8, 9))
    dataset.DetectorInformationSequence[0].ImageOrientationPatient = [round(v, 6) for v in (*axis, *down)]
    with pytest.raises(UnsupportedInputError, match="do not cut across the heart"):
        read(save(dataset))


def test_turning_to_transaxial_keeps_every_voxel_in_its_place():
    rng = np.random.default_rng(3)
    axes = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])  # coronal
    volume = Volume(rng.random((2, 4, 5, 6)), affine_from_axes((7.0, -8.0, 9.0), axes, (3.0, 4.0, 5.0)))
    turned = transaxial(volume)
    assert turned.grid_shape == (5, 4, 6)
    for index in ((0, 0, 0), (3, 1, 4)):
        place = transform_points(volume.lps_from_index, np.array(index, float))
        there = np.linalg.solve(turned.lps_from_index, [*place, 1.0])[:3].round().astype(int)
        assert_array_equal(turned.array[:, *there], volume.array[:, *index])
    assert transaxial(turned) is turned
