"""The scaler of an estimator, fitted on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.models.storage.skops_file import SkopsFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FILE = SkopsFile(classes={"standard": "sklearn.preprocessing._data.StandardScaler"}, name="scaler.skops")


def fit_scaler(method: str, X: NDArray[np.float32]) -> Any:
    """Return a fitted StandardScaler for the method `standard`, None for `none`."""
    if method != "standard":
        return None
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(X)


def scale(scaler: Any, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale X; unchanged if `scaler` is None."""
    scaled: NDArray[np.float32] = X if scaler is None else scaler.transform(X)
    return scaled


def save_scaler(scaler: Any, folder: Path) -> None:
    """Write scaler.skops; nothing if `scaler` is None."""
    if scaler is not None:
        _FILE.save(scaler, folder)


def load_scaler(folder: Path, n_features: int) -> Any:
    """Load scaler.skops, None if there is none; raises the same errors as `SkopsFile.load`."""
    path = folder / _FILE.name
    return _FILE.load(folder, "standard", n_features) if path.is_symlink() or path.exists() else None
