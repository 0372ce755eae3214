"""The scaler of an estimator, fitted on the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN
from cryptoml.models.storage.skops_file import SkopsFile
from cryptoml.models.storage.stored_values import checked_number

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


def describe_scaler(scaler: Any) -> dict[str, list[float]] | None:
    """Return the scaler as JSON types, exact to the last digit; None for no scaler."""
    if scaler is None:
        return None
    return {"mean": [float(value) for value in scaler.mean_], "scale": [float(value) for value in scaler.scale_]}


def restore_scaler(folder: Path, stored: Any, n_features: int) -> Any:
    """Restore what `describe_scaler` returned; raises DataError for anything else. folder: of the model."""
    if stored is None:
        return None
    import numpy as np
    from sklearn.preprocessing import StandardScaler

    try:
        mean, spread = (
            np.asarray([checked_number({name: value}, name, -math.inf) for value in stored[name]])
            for name in ("mean", "scale")
        )
        if len(mean) != n_features or len(spread) != n_features or (spread <= 0).any():
            raise ValueError(f"not that of {n_features} features")
    except (ValueError, TypeError, LookupError) as error:
        raise DataError(f"{folder}: the scaler is invalid: {str(error)[:300]}.", hint=FETCH_AGAIN) from error
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_, scaler.n_features_in_ = mean, spread, spread**2, n_features
    return scaler


def save_scaler(scaler: Any, folder: Path) -> None:
    """Write scaler.skops; nothing if `scaler` is None."""
    if scaler is not None:
        _FILE.save(scaler, folder)


def load_scaler(folder: Path, n_features: int) -> Any:
    """Load scaler.skops, None if there is none; raises the same errors as `SkopsFile.load`."""
    path = folder / _FILE.name
    return _FILE.load(folder, "standard", n_features) if path.is_symlink() or path.exists() else None
