"""The border to files: studies in, derived objects out.

`read_studies` sorts files into studies; `read_nifti` and `write_nifti` convert between NIfTI's frame
and MyoPerf's.
"""

from myoperf.io.assemble.series import Skipped
from myoperf.io.assemble.studies import ReadResult, find_files, read_studies
from myoperf.io.attenuation import find_attenuation, read_attenuation
from myoperf.io.convert import converted_name, write_converted
from myoperf.io.nifti import read_nifti, write_nifti
from myoperf.io.stressor import with_stressors

__all__ = [
    "ReadResult",
    "Skipped",
    "converted_name",
    "find_attenuation",
    "find_files",
    "read_attenuation",
    "read_nifti",
    "read_studies",
    "with_stressors",
    "write_converted",
    "write_nifti",
]
