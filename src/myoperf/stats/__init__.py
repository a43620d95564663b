"""Statistics of diagnostic tests: areas, intervals, comparisons, calibration."""

from myoperf.stats.auc import AucTable, ConfidenceInterval, DelongPairs, delong_pairs, delong_table
from myoperf.stats.bootstrap import (
    bootstrap_auc,
    bootstrap_p,
    bootstrap_statistic,
    percentile_interval,
    resample_counts,
)
from myoperf.stats.calibration import (
    Calibration,
    average_precision,
    decision_curve,
    measure_calibration,
    precision_recall_curve,
    roc_curve,
)
from myoperf.stats.compare import FactorPair, adjust_p, beaten_by, compare_levels, mcnemar
from myoperf.stats.metrics import (
    METRICS,
    Confusion,
    Measured,
    measure_threshold,
    threshold_for_sensitivity,
    wilson_interval,
)
from myoperf.stats.verification import Rate, Verified, correct_verification

__all__ = [
    "METRICS",
    "AucTable",
    "Calibration",
    "ConfidenceInterval",
    "Confusion",
    "DelongPairs",
    "FactorPair",
    "Measured",
    "Rate",
    "Verified",
    "adjust_p",
    "average_precision",
    "beaten_by",
    "bootstrap_auc",
    "bootstrap_p",
    "bootstrap_statistic",
    "compare_levels",
    "correct_verification",
    "decision_curve",
    "delong_pairs",
    "delong_table",
    "mcnemar",
    "measure_calibration",
    "measure_threshold",
    "percentile_interval",
    "precision_recall_curve",
    "resample_counts",
    "roc_curve",
    "threshold_for_sensitivity",
    "wilson_interval",
]
