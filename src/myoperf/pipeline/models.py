"""Which models the main job uses: what ships with the package, or the method that needs no weights."""

from __future__ import annotations

from myoperf.pipeline.analyze import Models

__all__ = ["load_models"]


def load_models(*, device: str = "cpu") -> Models:
    """Give the shipped models for a device (``"cpu"`` or ``"cuda"``)."""
    del device  # no network ships yet: the classical method runs on the CPU
    return Models()
