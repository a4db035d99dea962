"""Imported by the fork server only: what every worker needs and what takes long to import. Few windows need pandas."""

import os

os.environ["DO_NOT_TRACK"] = "1"

import duckdb  # noqa: F401
import ibis.backends.duckdb  # noqa: F401
import numpy as np  # noqa: F401

import monitor.measuring.measure
import monitor.worker  # noqa: F401
from monitor import kinds

kinds.check_kinds()
kinds.source_kinds()
