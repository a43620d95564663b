"""Many studies at once: one row each in a table, resumable, failures named and never fatal.

Each study's result is a folder that appears whole or not at all and holds the study's rows of the table. These folders
are the only record of what is done, so a run that stopped at any moment resumes from them.
"""

from myoperf.pipeline.cohort.inputs import StudyInput, list_inputs
from myoperf.pipeline.cohort.merge import merge_cohorts
from myoperf.pipeline.cohort.run import CohortProgress, finished_inputs, run_cohort
from myoperf.pipeline.cohort.settings import CohortSettings
from myoperf.pipeline.cohort.table import iterate_rows, write_tables

__all__ = [
    "CohortProgress",
    "CohortSettings",
    "StudyInput",
    "finished_inputs",
    "iterate_rows",
    "list_inputs",
    "merge_cohorts",
    "run_cohort",
    "write_tables",
]
