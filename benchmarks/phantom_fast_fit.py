"""Fit the image-space model to full physics, and measure how close it comes.

Each patient's stress views are reconstructed (OSEM 4 x 4, Butterworth 0.5 order 5, no correction) without
noise and with it. The blur, haze and attenuation are fitted to the noiseless reconstructions
(relative RMS error, plus half the mean bias of the log contrast of wall against cavity), the noise to the
differences. Patients for the fit and for the measurement are different.

    python benchmarks/phantom_fast_fit.py [--test 10]      measure the shipped model: docs/results/phantom_fast.csv
    python benchmarks/phantom_fast_fit.py --fit 3          refit, print the values, measure those

Measuring the shipped model writes docs/results/phantom_fast.csv.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize

from myoperf.geometry import sample
from myoperf.phantom.acquire import Protocol, expected_views
from myoperf.phantom.fast import FITTED, ImageModel, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel
from myoperf.recon import reconstruct
from myoperf.types import LVFrame, Projections, Volume

ROOT = Path(__file__).parents[1]
PROTOCOL = Protocol(gates=1, motion_probability=0.0)
COUNTS = 4.5e6


def pair(index: int) -> tuple[PatientModel, Volume, Volume]:
    rng = np.random.default_rng([314, index])
    patient = draw_patient(rng)
    mean, _ = expected_views(patient, "stress", PROTOCOL, rng)
    scaled = mean.array * (COUNTS / mean.array.sum(dtype=np.float64))
    clean = reconstruct(replace(mean, array=scaled)).volume
    noisy = reconstruct(Projections(**{**vars(mean), "array": rng.poisson(scaled)})).volume
    return patient, clean, noisy


def heart(patient: PatientModel) -> tuple[tuple[slice, ...], Any, LVFrame]:
    _, labels, frame = simulate_fast(patient, np.random.default_rng(0), model=replace(FITTED["spect"], noise=0.0))
    index = np.argwhere(labels.array[0] > 0)
    low, high = index.min(axis=0) - 3, index.max(axis=0) + 4
    window = tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))
    return window, labels.array[0], frame


def scaled(image: Any, reference: Any) -> Any:
    """Fit the one free factor between two images."""
    return image * float((image * reference).sum() / (image * image).sum())


def relative_error(image: Any, reference: Any) -> float:
    return float(np.linalg.norm(scaled(image, reference) - reference) / np.linalg.norm(reference))


def fit_blur(pairs: list[Any]) -> ImageModel:
    def model(x: Any) -> ImageModel:
        return ImageModel(x[0], x[1], x[2], x[3], 45.0, 0.0, 0.7, 6.0)

    def cost(x: Any) -> float:
        if min(x) < 0 or x[3] > 0.6:
            return 1e3
        errors, ratios = [], []
        for patient, clean, _, (window, labels, _frame) in pairs:
            image, _, _ = simulate_fast(patient, np.random.default_rng(0), model=model(x))
            reference = clean.array[0][window]
            errors.append(
                np.linalg.norm(scaled(image.array[0][window], reference) - reference) / np.linalg.norm(reference)
            )
            ratios.append(np.log(contrast(image.array[0], labels) / contrast(clean.array[0], labels)))
        return float(np.mean(errors) + 0.5 * abs(np.mean(ratios)))

    middle = FITTED["spect"]
    start = [middle.across_mm, middle.along_mm, middle.attenuated, middle.scattered]
    found = optimize.minimize(cost, start, method="Nelder-Mead", options={"maxfev": 45, "xatol": 0.02, "fatol": 1e-4})
    return model(found.x)


def noise_numbers(clean: Any, noisy: Any, window: Any, level: float) -> tuple[float, float, float]:
    difference = (noisy - clean)[window]
    image = clean[window]
    edges = np.quantile(image, np.linspace(0.2, 1.0, 7))
    middles, sds = [], []
    for a, b in pairwise(edges):
        inside = (image >= a) & (image < b)
        middles.append(image[inside].mean() / level)
        sds.append(difference[inside].std() / level)
    power, offset = np.polyfit(np.log(middles), np.log(sds), 1)
    white = difference / np.maximum(image, 1e-3 * level) ** power
    lag = float(np.mean([np.corrcoef(white.take(range(1, n), a).ravel(), white.take(range(n - 1), a).ravel())[0, 1]
                         for a, n in enumerate(white.shape)]))  # fmt: skip
    grain = PROTOCOL.pixel_mm / np.sqrt(-4.0 * np.log(np.clip(lag, 0.05, 0.99)))  # of a Gaussian's autocorrelation
    return float(np.exp(offset)), float(power), float(grain)


def contrast(array: Any, labels: Any) -> float:
    wall, pool = array[labels == 1], array[labels == 2]
    return float(np.percentile(wall, 90) / pool.mean())


def profile_error(volume: Volume, other: Volume, frame: LVFrame) -> float:
    along = np.linspace(-60, 60, 61)[:, None]
    errors = []
    for direction in (frame.lateral, frame.anterior, frame.axis):
        a, b = (sample(v, frame.centre_mm + along * direction)[0] for v in (volume, other))
        b = scaled(b, a)
        errors.append(float(np.sqrt(np.mean((a - b) ** 2)) / a.max()))
    return float(np.mean(errors))


def compare(index: int, model: ImageModel) -> dict[str, float]:
    """Measure one patient by both ways."""
    patient, clean, noisy = pair(index)
    window, labels, frame = heart(patient)
    quiet, _, _ = simulate_fast(patient, np.random.default_rng(0), model=replace(model, noise=0.0))
    loud, _, _ = simulate_fast(patient, np.random.default_rng(index), model=model)
    real = noise_numbers(clean.array[0], noisy.array[0], window, np.percentile(clean.array, 99.5))
    fast = noise_numbers(quiet.array[0], loud.array[0], window, np.percentile(quiet.array, 99.5))
    return {
        "patient": index,
        "rms_error_percent": 100 * relative_error(quiet.array[0][window], clean.array[0][window]),
        "profile_error_percent": 100 * profile_error(clean, quiet, frame),
        "contrast_full": contrast(clean.array[0], labels),
        "contrast_fast": contrast(quiet.array[0], labels),
        "noise_full": 100 * real[0],
        "noise_fast": 100 * fast[0],
        "grain_full": real[2],
        "grain_fast": fast[2],
    }


def fitted(n: int) -> ImageModel:
    """Fit blur, haze, attenuation and noise to n patients."""
    fitting = [(p, c, m, heart(p)) for p, c, m in map(pair, range(n))]
    numbers = [noise_numbers(c.array[0], m.array[0], w, np.percentile(c.array, 99.5)) for _, c, m, (w, *_) in fitting]
    noise, power, grain = (float(v) for v in np.median(numbers, axis=0))
    return replace(fit_blur(fitting), noise=noise, noise_power=power, grain_mm=grain)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fit", type=int, default=0)
    parser.add_argument("--test", type=int, default=10)
    options = parser.parse_args()
    model = fitted(options.fit) if options.fit else FITTED["spect"]
    print("model:", {k: round(v, 4) for k, v in asdict(model).items()})
    rows = [compare(index, model) for index in range(100, 100 + options.test)]
    print(*rows, sep="\n")
    if options.fit:
        return
    with (ROOT / "docs/results/phantom_fast.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: v if k == "patient" else round(float(v), 3) for k, v in row.items()} for row in rows)


if __name__ == "__main__":
    main()
