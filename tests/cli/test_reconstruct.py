"""``myoperf reconstruct``: raw projections in, a volume out, on the real raw study."""

import nibabel as nib
import numpy as np
import pytest

from support.command import run_command


def call(*words: object):
    return run_command("reconstruct", *words, "--quiet")


@pytest.mark.real
def test_collimator_response_sharpens_the_volume_and_keeps_its_place(real, tmp_path):
    for name, more in (("plain", ()), ("sharp", ("--psf", "ge-lehr"))):
        done = call(
            real / "ge_projections/stress_tomo.dcm", "-o", tmp_path / f"{name}.nii.gz", "--iterations", 1, *more
        )
        assert done.returncode == 0, done.stderr
    plain, sharp = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("plain", "sharp"))
    assert np.array_equal(plain.affine, sharp.affine)
    a, b = (np.asarray(image.dataobj, dtype=float) for image in (plain, sharp))
    assert np.square(b / b.sum()).sum() > np.square(a / a.sum()).sum()
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


@pytest.mark.real
def test_what_it_cannot_do_is_said_in_one_line(real, tmp_path):
    for words, says in (
        ((real / "ge_projections/stress_tomo.dcm", "-o", tmp_path / "a.txt"), "nii"),
        ((real / "ge_projections/stress_tomo.dcm", "-o", tmp_path / "a.nii.gz", "--psf", "pinhole"), "--psf"),
    ):
        done = call(*words)
        assert done.returncode == 2
        assert says in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
