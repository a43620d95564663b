"""The version of MyoPerf. Rooms read it here: `myoperf` itself, the library's face, stands above them."""

from __future__ import annotations

__version__ = "0.2.0"
