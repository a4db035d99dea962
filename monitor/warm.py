"""Imported by the fork server only: what every worker needs and what takes long to import. Few windows need pandas."""

import atexit
import gc
import os

# What is imported stays for good: looked for garbage neither now nor, frozen, by the workers that are forked from here; nor taken
# apart at the end, which takes longer than a window.
gc.disable()
atexit.register(os._exit, 0)
os.environ["DO_NOT_TRACK"] = "1"

import duckdb  # noqa: E402, F401
import ibis.backends.duckdb  # noqa: E402, F401
import numpy as np  # noqa: E402, F401

import monitor.measuring.measure  # noqa: E402
import monitor.worker  # noqa: E402, F401
from monitor import kinds  # noqa: E402

kinds.check_kinds()
kinds.source_kinds()

gc.freeze()
gc.enable()
