"""Unroll the wall of stress and rest to polar maps and score them against normal limits."""

import sys
from pathlib import Path

import myoperf
from myoperf.geometry.disc import disc_image
from myoperf.perfusion import choose_limits, shipped_limits
from myoperf.report.bullseye import BullEye, draw_disc
from myoperf.report.canvas import Canvas
from myoperf.report.colours import palette
from myoperf.report.raster import to_png

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

options = myoperf.CohortOptions(fast=True, protocol=myoperf.Protocol(gates=1))
patient = myoperf.simulate_patient(11, options=options)

# Pose and labels are the true ones here; myoperf.find_lv gives both for a volume of your own.
polar, limits = {}, {}
for scan in patient.study.scans:
    pair = myoperf.sample_polar_map(scan.image, patient.labels[scan.state], patient.truth.lv_frame)
    polar[scan.state] = pair.maximum
    limits[scan.state], _ = choose_limits(
        shipped_limits(), state=scan.state, sex=patient.study.sex, tracer=scan.tracer, camera=scan.camera
    )
scores = myoperf.score_perfusion(
    polar["stress"], polar["rest"], stress_limits=limits["stress"], rest_limits=limits["rest"]
)
print(f"SSS {scores.sss}, SRS {scores.srs}, SDS {scores.sds}; TPD at stress {scores.tpd_stress_percent:.1f} %")
print(scores.summary)

drawing = Canvas(130.0, 72.0)
for left, (state, measured) in zip((2.0, 67.0), polar.items(), strict=True):
    percent = 100.0 * measured.values / measured.values.max()
    labels = [str(score) for score in (scores.stress_scores if state == "stress" else scores.rest_scores)]
    disc = BullEye(
        picture=disc_image(percent),
        title=f"{state}: uptake in colour, scores as numbers",
        palette=palette("inferno"),
        limits=(0, 100),
        labels=labels,
    )
    draw_disc(drawing, disc, (left, 8.0), 61.0, size_pt=7.5)
(out / "polar_map_and_scores.png").write_bytes(to_png(drawing, dpi=96))
