"""The scaler in front of an estimator, fitted on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.models.storage.skops_file import SkopsFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FILE = SkopsFile(classes={"standard": "sklearn.preprocessing._data.StandardScaler"}, name="scaler.skops")


def fit_scaler(method: str, X: NDArray[np.float32]) -> Any:
    """A fitted StandardScaler for the method `standard`, None for `none`."""
    if method != "standard":
        return None
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(X)


def scale(scaler: Any, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """X as the estimator takes it; unchanged without a scaler."""
    scaled: NDArray[np.float32] = X if scaler is None else scaler.transform(X)
    return scaled


def save_scaler(scaler: Any, folder: Path) -> None:
    """Write scaler.skops, or nothing without a scaler."""
    if scaler is not None:
        _FILE.save(scaler, folder)


def load_scaler(folder: Path, n_features: int) -> Any:
    """Read scaler.skops, None where there is none; raises AccessError and DataError as `SkopsFile.load` does."""
    path = folder / _FILE.name
    return _FILE.load(folder, "standard", n_features) if path.is_symlink() or path.exists() else None
