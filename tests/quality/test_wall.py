"""Small ventricles and walls that the model does not fit are named."""

from dataclasses import replace

import pytest

from myoperf.quality import check_wall
from myoperf.types import FunctionResult
from support.dicom_report import make_wall


@pytest.mark.parametrize(
    ("edv_ml", "residual_mm", "codes"),
    [(90.0, 0.1, []), (59.0, 0.1, ["ventricle-small"]), (90.0, 0.4, ["wall-fit-poor"])],
)
def test_each_is_named_where_it_applies(edv_ml, residual_mm, codes):
    function = FunctionResult(edv_ml, 30.0, 60.0, wall=make_wall(fit_residual_mm=residual_mm))
    assert [finding.code for finding in check_wall(function)] == codes


def test_a_function_without_a_wall_can_still_be_small():
    assert [f.code for f in check_wall(FunctionResult(40.0, 16.0, 60.0))] == ["ventricle-small"]


@pytest.mark.parametrize(("thickness_mm", "named"), [(3.0, "3 mm"), (20.0, "20 mm")])
def test_a_thickness_at_the_end_of_what_the_model_allows_was_not_measured(thickness_mm, named):
    wall = replace(make_wall(fit_residual_mm=0.1), wall_ed_mm=thickness_mm)
    (finding,) = check_wall(FunctionResult(120.0, 50.0, 58.3, wall=wall))
    assert finding.code == "wall-fit-poor"
    assert named in finding.message
    assert check_wall(FunctionResult(120.0, 50.0, 58.3, wall=replace(wall, wall_ed_mm=3.2))) == ()
