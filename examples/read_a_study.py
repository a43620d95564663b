"""Read a patient's folder and look at what is in it."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import myoperf
from myoperf.phantom.cohort import simulate_cohort

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

with tempfile.TemporaryDirectory() as folder:
    # Files to read: a simulated patient's CZT images as NM DICOM. Your own folder, or a list of files, does as well.
    options = myoperf.CohortOptions(modality="czt", protocol=myoperf.Protocol(gates=1))
    simulate_cohort(1, Path(folder) / "cohort", seed=11, options=options)
    read = myoperf.read_studies(Path(folder) / "cohort" / "patient-0001" / "dicom")

# Files are sorted into studies by their headers. What was not used is listed with its reason, and nothing is guessed:
# a scan whose files do not give its state has state None and a finding.
print(f"{len(read.studies)} study, {len(read.skipped)} files skipped")
study = read.studies[0]
print(f"sex {study.sex}, {study.age_years:.0f} years")

figure, axes = plt.subplots(1, len(study.scans), figsize=(8, 4), layout="constrained")
for axis, scan in zip(axes, study.scans, strict=True):
    # A volume is (frames, planes, rows, columns) with an affine that maps the index to LPS millimetres.
    print(f"{scan.state}: {scan.modality}, {scan.framing}, {scan.tracer}, {scan.image}")
    image = scan.image.array[0]
    middle = len(image) // 2
    axis.imshow(image[middle], cmap="inferno", vmin=0)
    axis.set_title(f"{scan.state}, transaxial plane {middle}\n{scan.tracer}")
    axis.set_axis_off()
figure.savefig(out / "read_a_study.png", dpi=90)
