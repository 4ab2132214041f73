"""The version, in its one place (read by the build backend without importing torch)."""

__version__ = "0.1.0"
