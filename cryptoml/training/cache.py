"""Keeps fits on disk, so that a repeated or interrupted training computes only those that are missing.

A fit is found by the hash of everything that determines its digits: rows, model, parameters, seed, options, the code of
cryptoml and the versions of the libraries. Files are read with the same checks as stored models.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import CryptomlError
from cryptoml.models.forecaster import FittedParts
from cryptoml.models.scaling import load_scaler, save_scaler
from cryptoml.training.fit_task import FitTask
from cryptoml.training.results import FINAL, Fit, TrainingOptions

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 1 << 30
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "xgboost")
_RETURNS, _FIT = "returns.npz", "fit.json"


@dataclass(frozen=True)
class FitCache:
    """A folder of fits of one data set; the least recently used are deleted beyond `max_bytes`.

    rows_hash: of the features and targets of all rows.
    """

    folder: Path
    rows_hash: str
    n_features: int
    max_bytes: int = MAX_BYTES

    def load(self, options: TrainingOptions, task: FitTask) -> Fit | None:
        """Return a kept fit, or None if there is none or its files are damaged."""
        import numpy as np

        entry = self._entry(options, task)
        try:
            description = json.loads((entry / _FIT).read_text(encoding="utf-8"))
            with np.load(entry / _RETURNS, allow_pickle=False) as arrays:
                raw, in_sample = arrays["raw"], arrays.get("in_sample")
            parts = None
            if "implementation" in description:
                spec, implementation = task.choice.spec, description["implementation"]
                estimator = spec.storage.load(entry, implementation, self.n_features)
                scaler = load_scaler(entry, self.n_features)
                parts = FittedParts(spec, scaler, estimator, description["clip"], implementation)
            os.utime(entry)
            return Fit(parts, raw, in_sample, description["seconds"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, CryptomlError):
            return None

    def save(self, options: TrainingOptions, task: FitTask, fit: Fit) -> None:
        """Keep a fit; without effect if the folder cannot be written."""
        import numpy as np

        entry = self._entry(options, task)
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as temporary:
                new = Path(temporary, entry.name)
                new.mkdir()
                arrays = {"raw": fit.raw_return}
                description: dict[str, object] = {"model": task.choice.spec.key, "seconds": fit.seconds}
                if fit.raw_return_in_sample is not None:
                    arrays["in_sample"] = fit.raw_return_in_sample
                if fit.parts is not None:
                    description |= {"clip": fit.parts.clip, "implementation": fit.parts.implementation}
                    save_scaler(fit.parts.scaler, new)
                    task.choice.spec.storage.save(fit.parts.estimator, new)
                np.savez(new / _RETURNS, allow_pickle=False, **arrays)
                (new / _FIT).write_text(json.dumps(description), encoding="utf-8")
                # A damaged entry is replaced.
                shutil.rmtree(entry, ignore_errors=True)
                new.rename(entry)

    def trim(self) -> None:
        """Delete the least recently used fits beyond `max_bytes`."""
        with suppress(OSError):
            entries = [(entry.stat().st_mtime, entry) for entry in self.folder.iterdir() if entry.is_dir()]
            total = 0
            for _, entry in sorted(entries, reverse=True):
                size = sum(file.stat().st_size for file in entry.iterdir() if file.is_file())
                if total + size > self.max_bytes:
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    total += size

    def _entry(self, options: TrainingOptions, task: FitTask) -> Path:
        key = {
            "rows": self.rows_hash,
            "fit": [task.fit_rows.start, task.fit_rows.stop],
            "forecast": [task.forecast_rows.start, task.forecast_rows.stop],
            "final": task.number == FINAL,
            "model": task.choice.spec.key,
            "params": dict(task.choice.params),
            "seed": options.seed,
            "scaling": options.scaling_method,
            "clip_sigma": options.clip_sigma,
            "code": code_hash(inspect.getfile(task.choice.spec.parameters)),
        }
        text = json.dumps(key, sort_keys=True, default=str)
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:32]


def fit_cache(folder: Path, features: np.ndarray, target: np.ndarray) -> FitCache:
    """Return the cache in a folder for these rows (features: float32, target: log return)."""
    import numpy as np

    digest = hashlib.sha256()
    for array in (features, target):
        digest.update(str((array.shape, array.dtype)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return FitCache(folder, digest.hexdigest(), features.shape[1])


@cache
def code_hash(model_file: str = "") -> str:
    """Hash what determines a fit besides its inputs: the packages models and training, a model's file, libraries."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    own = [Path(model_file)] if model_file else []
    for path in (*sorted(package.glob("models/**/*.py")), *sorted(package.glob("training/*.py")), *own):
        digest.update(path.read_bytes())
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()
