"""The examples in docstrings of modules that load quickly, and of the library's face, run as written."""

import doctest
import importlib

import pytest

MODULES = (
    "myoperf.geometry",
    "myoperf.geometry.disc",
    "myoperf.io.assemble.studies",
    "myoperf.io.nifti",
    "myoperf.lv.find",
    "myoperf.perfusion.normal_limits",
    "myoperf.perfusion.scores",
    "myoperf.phantom.patient",
    "myoperf.pipeline.analyze",
    "myoperf.pipeline.delivery",
    "myoperf.polar.sampling",
    "myoperf.recon.reconstruction",
    "myoperf.segments",
    "myoperf.stats.auc",
    "myoperf.stats.bootstrap",
    "myoperf.stats.metrics",
    "myoperf.types.image",
    "myoperf.types.ventricle",
)
WITH_EXAMPLES = {
    "myoperf.phantom.patient",
    "myoperf.segments",
    "myoperf.stats.auc",
    "myoperf.stats.bootstrap",
    "myoperf.stats.metrics",
    "myoperf.types.image",
    "myoperf.types.ventricle",
}
"""Modules whose examples run here; those of the others need a patient's files and are only read."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    assert result.attempted > 0 or name not in WITH_EXAMPLES
