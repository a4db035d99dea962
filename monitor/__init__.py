"""Everything that touches the world, and the wiring. Read `monitor/runner.py` first."""

__version__ = "0.1.0"
