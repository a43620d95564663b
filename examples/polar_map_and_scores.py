"""Unroll the wall of stress and rest to polar maps and score them against normal limits."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import myoperf
from myoperf.geometry.disc import disc_image
from myoperf.perfusion import choose_limits, shipped_limits
from myoperf.report.bullseye import BullEye, draw_disc

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

figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
cmap = plt.get_cmap("inferno")
for axis, (state, measured) in zip(axes, polar.items(), strict=True):
    percent = 100.0 * measured.values / measured.values.max()
    labels = [str(score) for score in (scores.stress_scores if state == "stress" else scores.rest_scores)]
    title = f"{state}: uptake in colour, scores as numbers"
    draw_disc(
        axis, BullEye(picture=disc_image(percent), title=title, cmap=cmap, limits=(0, 100), labels=labels), size_pt=9
    )
figure.savefig(out / "polar_map_and_scores.png", dpi=60)
