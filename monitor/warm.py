"""Imported by the fork server only: what every worker needs and what takes long to import."""

import os

os.environ["DO_NOT_TRACK"] = "1"

import duckdb  # noqa: F401
import ibis  # noqa: F401
import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401
import pyarrow as pa  # noqa: F401

import monitor.measuring.measure
import monitor.worker  # noqa: F401
from monitor import kinds

kinds.check_kinds()
kinds.source_kinds()
