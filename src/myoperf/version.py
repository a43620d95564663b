"""The version of MyoPerf. Rooms read it here: `myoperf` itself, the library's face, stands above them."""

__version__ = "0.2.0"
