"""Makes nannyml.json: NannyML's estimates for generated data. Run by hand in an environment of its own
(benchmarks/peers-nannyml.txt): python make_nannyml.py > nannyml.json

The data is that of monitor/testing/predictions.py, which needs nothing but the standard library and is read by the test too.
"""

from __future__ import annotations

import json
import runpy
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nannyml
import pandas as pd
from nannyml.calibration import NoopCalibrator

METRICS = ["accuracy", "precision", "recall", "f1", "specificity", "roc_auc"]
CHUNK = 4000


def estimates(frames: tuple[pd.DataFrame, pd.DataFrame], problem: str, probability: Any, **more: Any) -> dict[str, Any]:
    """Each metric's estimate on the chunk to be judged, and whether NannyML calibrated the probabilities first."""
    reference, analysis = frames
    estimator = nannyml.CBPE(
        y_true="was", y_pred="said", y_pred_proba=probability, problem_type=problem, metrics=METRICS, chunk_size=CHUNK, **more
    )
    estimator.fit(reference)
    result = estimator.estimate(analysis).filter(period="analysis").to_df()
    calibrated = getattr(estimator, "needs_calibration", None)
    return {
        "calibrated": bool(calibrated) if calibrated is not None else None,
        "figures": {name: float(result[name, "value"].iloc[0]) for name in METRICS},
    }


def main() -> None:
    warnings.simplefilter("ignore")
    data = runpy.run_path(str(Path(__file__).parents[2] / "monitor/testing/predictions.py"))
    out: dict[str, Any] = {"nannyml": version("nannyml"), "rows": CHUNK}
    for name in ("sound", "too_sure"):
        frames = tuple(pd.DataFrame(data["binary"](name, part, CHUNK)) for part in ("reference", "analysis"))
        out[name] = estimates(frames, "classification_binary", "p")
    frames = tuple(pd.DataFrame(data["several"](part, CHUNK)) for part in ("reference", "analysis"))
    out["several"] = estimates(
        frames, "classification_multiclass", {c: f"p_{c}" for c in data["CLASSES"]}, calibrator=NoopCalibrator()
    )
    json.dump(out, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
