"""Files of a simulated patient: DICOM, NIfTI, arrays, labels and the truth."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.dicom import uid_from
from myoperf.geometry import rotate_frame
from myoperf.io import write_nifti
from myoperf.io.ct_writer import write_ct
from myoperf.io.nm.writer import write_projections, write_volume
from myoperf.io.pet.writer import write_pet
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.phantom.acquire import scanner_from_patient
from myoperf.phantom.cohort_scans import CohortOptions, CohortScan
from myoperf.phantom.gating import volume_curve
from myoperf.phantom.records import SIMULATOR_VERSION, PatientModel, Truth
from myoperf.phantom.truth import truth_polar
from myoperf.phantom.voxelise import label_volume
from myoperf.types import VESSELS, State, Volume

TRACERS = {
    "Tc-99m": "Tc-99m sestamibi",
    "Tl-201": "Tl-201 thallous chloride",
    "N-13": "N-13 ammonia",
    "Rb-82": "Rb-82 rubidium chloride",
}


def truth_json(
    patient: PatientModel, known: Truth, *, seed: int, index: int, scans: Mapping[State, CohortScan]
) -> dict[str, Any]:
    """Return the contents of ``truth.json``, schema ``myoperf.truth/1``.

    The pose is in the scanner's space, like the files beside it; the patient's volumes and synchrony are those at rest,
    and each state has its own.

    Parameters
    ----------
    known
        By `myoperf.phantom.truth.truth`.
    seed, index
        From which the patient was drawn.
    scans
        By state; their gates and acquisition are recorded.
    """

    def perfusion(state: State) -> dict[str, Any]:
        return {
            "segments_percent": _rounded(known.segments_percent[state]),
            "defect_extent_percent": round(float(known.defect_extent_percent[state]), 3),
            "edv_ml": round(float(known.edv_ml[state]), 3),
            "esv_ml": round(float(known.esv_ml[state]), 3),
            "lvef_percent": round(float(known.lvef_percent[state]), 3),
            "gate_volumes_ml": _rounded(volume_curve(patient, state, scans[state].record["gates"]), 3),
            "segments_phase_deg": _rounded(known.segment_phase_deg[state], 3),
            "segments_ejection_percent": _rounded(100.0 * known.segment_ejection[state], 3),
            "segments_thickening_percent": _rounded(known.segment_thickening_percent[state], 3),
            "segments_motion_mm": _rounded(known.segment_motion_mm[state], 3),
        }

    frame = rotate_frame(known.lv_frame, scanner_from_patient(patient))
    return {
        "schema": "myoperf.truth/1",
        "simulated": True,
        "simulator": SIMULATOR_VERSION,
        "seed": [seed, index],
        "lv_frame": {
            "apex_mm": _rounded(frame.apex_mm),
            "base_mm": _rounded(frame.base_mm),
            "anterior": _rounded(frame.anterior, 6),
        },
        "edv_ml": round(float(known.edv_ml["rest"]), 3),
        "esv_ml": round(float(known.esv_ml["rest"]), 3),
        "lvef_percent": round(float(known.lvef_percent["rest"]), 3),
        "phase_sd_deg": round(float(known.phase_sd_deg["rest"]), 3),
        "phase_bandwidth_deg": round(float(known.phase_bandwidth_deg["rest"]), 3),
        "myocardium_ml": round(float(known.myocardium_ml), 3),
        "stress": perfusion("stress"),
        "rest": perfusion("rest"),
        "stenosis_percent": {v: round(float(known.stenosis_percent[v]), 1) for v in ("LM", *VESSELS)},
        "ica": {key: int(known.ica[key]) for key in (*VESSELS, "patient")},
        "expert": {
            "stress_scores": [int(s) for s in known.expert_scores["stress"]],
            "rest_scores": [int(s) for s in known.expert_scores["rest"]],
            **{key: int(known.expert[key]) for key in (*VESSELS, "patient")},
        },
        "acquisition": {state: dict(scan.record) for state, scan in scans.items()},
    }


def write_dicom(
    folder: Path,
    name: str,
    seed: int,
    patient: PatientModel,
    scans: Mapping[State, CohortScan],
    options: CohortOptions,
) -> None:
    """Write ``folder/dicom``, which must not exist: a file or a folder a state, as a scanner would store them.

    SPECT gives NM views (with a CT, and with reconstructions beside them, if requested), CZT cameras NM images, and PET
    slices. All carry one Study Instance UID, which follows from `seed` and `name`.
    """
    (folder / "dicom").mkdir()
    study, position = uid_from("simulated", seed, name), options.protocol.position
    key = str(seed) if position == "supine" else f"{seed} {position}"  # both of a patient's scans are of one visit
    gates = options.protocol.gates
    beat = 60000.0 / patient.function.heart_rate_bpm / gates if gates > 1 else None
    for number, (state, scan) in enumerate(scans.items(), start=1):
        what = {"spect": "TOMO" if options.has_views else "recon", "czt": "CZT recon", "pet": "PET"}[options.modality]
        header = SimulatedHeader(
            patient_id=f"SIM-{name}",
            sex=patient.clinical.sex,
            age_years=patient.clinical.age_years,
            height_m=patient.clinical.height_m,
            weight_kg=patient.clinical.weight_kg,
            state=state,
            position=position,
            study_uid=study,
            uid_key=key,
            series_description=f"Simulated {state} {what}",
            series_number=number,
            tracer=TRACERS[patient.tracer],
        )
        if scan.views is not None:
            views = folder / "dicom" / f"{state}_tomo.dcm"
            write_projections(views, scan.views, header, frame_duration_ms=beat)
            if scan.ct is not None:
                of_ct = replace(header, series_description=f"Simulated {state} CT", series_number=number + len(scans))
                write_ct(folder / "dicom" / f"{state}_ct", scan.ct, of_ct, kvp=scan.record["ct_kvp"])
        elif options.modality == "pet":
            place = folder / "dicom" / f"{state}_pet"
            write_pet(place, scan.volume(), header, frame_duration_ms=beat)
        if options.modality != "pet" and (scan.views is None or options.reconstructed):
            if options.modality == "czt":
                header = replace(header, model="MyoPerf simulated CZT camera")
            write_volume(folder / "dicom" / f"{state}_recon.dcm", scan.volume(), header, frame_duration_ms=beat)


def write_nifti_volumes(folder: Path, scans: Mapping[State, CohortScan]) -> None:
    """Write ``stress_volume.nii.gz`` and ``rest_volume.nii.gz`` into a folder: float32, gates as the fourth axis.

    They hold the images as a scanner would give them, noise and all; `write_labels` writes the truth on the same grid.
    """
    folder.mkdir(exist_ok=True)
    for state, scan in scans.items():
        volume = scan.volume()
        path = folder / f"{state}_volume.nii.gz"
        write_nifti(path, volume.with_array(volume.array.astype(np.float32)), description="simulated: image")


def write_arrays(folder: Path, patient: PatientModel, known: Truth, scans: Mapping[State, CohortScan]) -> None:
    """Write ``arrays.npz`` for training.

    Per state: ``volume`` and ``noiseless`` (float16, summed over gates, each divided by ``scale``, the volume's
    maximum), ``labels``, ``lps_from_index``, ``segments_percent`` and ``polar`` (uptake, 40 rings x 72 angles, 1 is
    healthy wall); for the patient ``apex_mm``, ``base_mm``, ``anterior``, ``ica`` and ``expert`` (LAD, LCX, RCA).
    """
    frame = rotate_frame(known.lv_frame, scanner_from_patient(patient))
    arrays: dict[str, Any] = {
        "simulated": np.array(True),
        "apex_mm": np.asarray(frame.apex_mm),
        "base_mm": np.asarray(frame.base_mm),
        "anterior": np.asarray(frame.anterior),
        "ica": np.array([known.ica[v] for v in VESSELS], dtype=np.uint8),
        "expert": np.array([known.expert[v] for v in VESSELS], dtype=np.uint8),
    }
    for state, scan in scans.items():
        volume, quiet = scan.summed(), scan.noiseless()
        scale = float(volume.array.max()) or 1.0
        arrays[f"{state}_volume"] = (volume.array[0] / scale).astype(np.float16)
        arrays[f"{state}_noiseless"] = (quiet.array[0] * (_share(volume, quiet) / scale)).astype(np.float16)
        arrays[f"{state}_scale"] = np.array(scale)
        arrays[f"{state}_labels"] = label_volume(patient, scan.in_patient(patient), state)
        arrays[f"{state}_lps_from_index"] = np.asarray(volume.lps_from_index)
        arrays[f"{state}_segments_percent"] = np.asarray(known.segments_percent[state], dtype=np.float32)
        arrays[f"{state}_polar"] = truth_polar(patient, state).astype(np.float16)
    np.savez_compressed(folder / "arrays.npz", **arrays)


def _share(volume: Volume, quiet: Volume) -> float:
    """Return the factor between two images of the same activity (a sum over gates against a mean)."""
    return float(volume.array.sum(dtype=np.float64) / max(float(quiet.array.sum(dtype=np.float64)), 1e-12))


def write_labels(folder: Path, patient: PatientModel, scans: Mapping[State, CohortScan]) -> None:
    """Write the true labels of each state on the images' grid, and the attenuation map (1/cm) where there is one.

    Labels are 1 in the myocardium and 2 in the blood pool, averaged over the beat: see `label_volume`.
    """
    for state, scan in scans.items():
        labels = Volume(label_volume(patient, scan.in_patient(patient), state), scan.grid.lps_from_index)
        path = folder / f"truth_{state}_labels.nii.gz"
        write_nifti(path, labels, description="simulated: 1 myocardium, 2 blood pool")
        if scan.attenuation is not None:
            attenuation = scan.attenuation.with_array(scan.attenuation.array.astype(np.float32))
            path = folder / f"{state}_attenuation.nii.gz"
            write_nifti(path, attenuation, description="simulated: attenuation, 1/cm")


def _rounded(values: Any, digits: int = 4) -> list[float]:
    return [round(float(v), digits) for v in values]
