"""Checks of the raw views and of what was found, each a finding for the report."""

from myoperf.quality.checks import check_quality
from myoperf.quality.counts import lung_heart_ratio

__all__ = ["check_quality", "lung_heart_ratio"]
