"""The version of MyoPerf. Packages read it here, as `myoperf` itself imports from them."""

__version__ = "0.2.0"
