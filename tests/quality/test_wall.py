"""Small ventricles and walls that the model does not fit are named."""

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
