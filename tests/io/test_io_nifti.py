"""NIfTI: the same voxel at the same place in both frames."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy.spatial.transform import Rotation

from myoperf.errors import GeometryError, InputError, UnsupportedInputError
from myoperf.geometry import affine_from_axes, transform_points
from myoperf.io import read_nifti, read_studies, write_nifti
from myoperf.types import Volume
from support.dicom import counts_of


def oblique(frames: int = 1, *, mirrored: bool = False) -> Volume:
    axes = Rotation.from_euler("xyz", [31, -22, 57], degrees=True).as_matrix()
    if mirrored:
        axes = axes * [[-1], [1], [1]]
    affine = affine_from_axes([11.0, -140.0, 333.0], axes, [6.5, 5.5, 4.75])
    return Volume(counts_of(frames, 7, 8, 9).astype(np.float32), affine)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("mirrored", [False, True])
def test_round_trip_on_an_oblique_anisotropic_grid(tmp_path, suffix, frames, mirrored):
    volume = oblique(frames, mirrored=mirrored)
    write_nifti(tmp_path / f"a{suffix}", volume)
    back = read_nifti(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.lps_from_index, volume.lps_from_index, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_types_are_kept(tmp_path, dtype):
    volume = oblique().with_array((oblique().array % 200).astype(dtype))
    write_nifti(tmp_path / "a.nii", volume)
    back = read_nifti(tmp_path / "a.nii")
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, volume.array)


def test_another_program_sees_each_voxel_at_the_same_place(tmp_path):
    volume = oblique()
    write_nifti(tmp_path / "a.nii.gz", volume)
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    point = image.TransformIndexToPhysicalPoint((4, 3, 2))  # SimpleITK: (column, row, plane), LPS
    np.testing.assert_allclose(point, transform_points(volume.lps_from_index, [2, 3, 4]), atol=1e-3)
    assert image.GetPixel(4, 3, 2) == volume.array[0, 2, 3, 4]


def test_nibabel_sees_ras(tmp_path):
    volume = oblique()
    write_nifti(tmp_path / "a.nii", volume)
    image = nib.load(tmp_path / "a.nii")
    place = image.affine @ [4, 3, 2, 1]
    np.testing.assert_allclose(place[:3] * [-1, -1, 1], transform_points(volume.lps_from_index, [2, 3, 4]), atol=1e-3)
    assert np.asarray(image.dataobj)[4, 3, 2] == volume.array[0, 2, 3, 4]


def test_nan_is_refused(tmp_path):
    array = np.ones((9, 8, 7), dtype=np.float32)
    array[1, 2, 3] = np.nan
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "nan.nii")
    with pytest.raises(InputError, match=r"^nan\.nii: .*NaN"):
        read_nifti(tmp_path / "nan.nii")


def test_picture_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((9, 8), dtype=np.float32), np.eye(4)), tmp_path / "flat.nii")
    with pytest.raises(UnsupportedInputError, match="expected a 3D volume"):
        read_nifti(tmp_path / "flat.nii")


def test_volume_without_affine_is_refused(tmp_path):
    image = nib.Nifti1Image(np.ones((9, 8, 7), dtype=np.float32), None)
    nib.save(image, tmp_path / "bare.nii")
    with pytest.raises(GeometryError, match="never invented"):
        read_nifti(tmp_path / "bare.nii")


def written_with(tmp_path, change):
    """Return the path of a NIfTI file whose header was changed after it was written."""
    write_nifti(tmp_path / "stress.nii", oblique())
    image = nib.load(tmp_path / "stress.nii")
    change(image)
    nib.save(image, tmp_path / "changed_stress.nii")
    return tmp_path / "changed_stress.nii"


@pytest.mark.parametrize(("shift_mm", "said"), [(0.0, False), (0.5, False), (2.0, True)])
def test_two_affines_that_differ_are_said(tmp_path, shift_mm, said):
    def shift_qform(image):
        affine = image.affine.copy()
        affine[0, 3] += shift_mm
        image.set_qform(affine, code=1)

    (scan,) = read_studies([written_with(tmp_path, shift_qform)]).studies[0].scans
    assert ("affines-differ" in [f.code for f in scan.findings]) is said
    np.testing.assert_allclose(scan.image.lps_from_index, oblique().lps_from_index, atol=1e-4)  # sform's


def test_a_damaged_qform_does_not_cost_a_file_whose_sform_holds(tmp_path):
    path = written_with(tmp_path, lambda image: None)
    raw = bytearray(path.read_bytes())
    raw[256:268] = np.full(3, 5.0, dtype="<f4").tobytes()  # no quaternion
    path.write_bytes(raw)
    np.testing.assert_allclose(read_nifti(path).lps_from_index, oblique().lps_from_index, atol=1e-4)
    raw[254:256] = bytes(2)  # no sform
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        read_nifti(path)


def test_two_affines_that_mirror_each_other_are_refused(tmp_path):
    def mirror_qform(image):
        affine = image.affine.copy()
        affine[:3, 0] *= -1
        image.set_qform(affine, code=1)

    with pytest.raises(GeometryError, match="left and right are opposite"):
        read_nifti(written_with(tmp_path, mirror_qform))


@pytest.mark.parametrize(("name", "said"), [("a.nii.gz", "must end in .nii$"), ("b.nii", "must end in .nii.gz")])
def test_a_name_that_contradicts_the_compression_is_the_cause(tmp_path, name, said):
    write_nifti(tmp_path / ("a.nii" if name == "a.nii.gz" else "b.nii.gz"), oblique())
    next(tmp_path.iterdir()).rename(tmp_path / name)
    with pytest.raises(InputError, match=said.replace("$", r"\.$")):
        read_nifti(tmp_path / name)


def test_a_ct_is_no_scan(tmp_path):
    values = np.full((1, 7, 8, 9), -1000.0, dtype=np.float32)
    values[0, 2:5, 2:6, 2:7] = 40.0
    write_nifti(tmp_path / "stress.nii", oblique().with_array(values))
    with pytest.raises(UnsupportedInputError, match="Hounsfield"):
        read_studies([tmp_path / "stress.nii"])


def test_values_beyond_single_precision_are_refused_with_the_limit(tmp_path):
    write_nifti(tmp_path / "a.nii", oblique().with_array(oblique().array * np.float64(1e35)))
    with pytest.raises(InputError, match=r"values up to .*e\+38; at most 1e\+30"):
        read_nifti(tmp_path / "a.nii")


def test_a_spacing_of_nearly_nothing_is_named(tmp_path):
    path = written_with(tmp_path, lambda image: None)
    raw = bytearray(path.read_bytes())
    raw[280:328] = np.diag([1e-4, 1e-4, 1e-4, 1])[:3].astype("<f4").tobytes()  # sform
    raw[252:254] = bytes(2)  # no qform
    path.write_bytes(raw)
    with pytest.raises(GeometryError, match=r"the distance between voxels is 0\.0001 mm"):
        read_nifti(path)


def test_truncated_file_is_refused(tmp_path):
    write_nifti(tmp_path / "a.nii", oblique())
    (tmp_path / "b.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:900])
    with pytest.raises(InputError, match=r"^b\.nii: not a readable"):
        read_nifti(tmp_path / "b.nii")


def test_metres_become_millimetres(tmp_path):
    image = nib.Nifti1Image(np.ones((9, 8, 7), dtype=np.float32), np.diag([0.004, 0.004, 0.005, 1.0]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "m.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "m.nii").spacing_mm, [5.0, 4.0, 4.0], rtol=1e-5)


def test_stress_and_rest_of_one_folder_are_one_study(tmp_path):
    for name in ("stress.nii.gz", "rest.nii.gz"):
        write_nifti(tmp_path / name, oblique())
    (study,) = read_studies([tmp_path]).studies
    assert [scan.state for scan in study.scans] == ["stress", "rest"]


def test_unknown_state_is_said_and_the_user_can_name_it(tmp_path):
    write_nifti(tmp_path / "heart.nii.gz", oblique())
    scan = read_studies([tmp_path / "heart.nii.gz"]).studies[0].scans[0]
    assert scan.state is None
    assert [finding.code for finding in scan.findings] == ["state-unknown"]
    scan = read_studies([tmp_path / "heart.nii.gz"], state="rest").studies[0].scans[0]
    assert scan.state == "rest"
    assert scan.findings == ()


def test_label_masks_are_no_scans(tmp_path):
    write_nifti(tmp_path / "mask.nii.gz", oblique().with_array(oblique().array % 3))
    with pytest.raises(UnsupportedInputError, match="mask of labels"):
        read_studies([tmp_path / "mask.nii.gz"])


def test_same_volume_same_bytes_and_the_description_is_kept(tmp_path):
    volume = Volume(counts_of(2, 3, 4, 5).astype(np.float32), np.diag([4.0, 3.0, 2.0, 1.0]))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, volume, description="simulated: image")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert nib.load(tmp_path / "a.nii.gz").header["descrip"].item() == b"simulated: image"
