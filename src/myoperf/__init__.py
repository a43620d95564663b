"""MyoPerf: myocardial perfusion from the camera's files to the report. Research use only."""

from __future__ import annotations

__version__ = "0.1.0"
