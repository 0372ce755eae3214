"""Stores scikit-learn estimators in skops files, which are checked before and after loading."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN, read_archive
from cryptoml.models.storage.archive_schema import PLAIN_NODES, NodeType, check_schema
from cryptoml.models.storage.load_errors import translate_load_errors
from cryptoml.models.storage.model_files import open_plain
from cryptoml.models.storage.trees import class_name


def feature_count_problem(estimator: Any, n_features: int) -> str:
    """Return why an estimator does not accept `n_features` columns; "" if it does."""
    width = estimator.n_features_in_
    return "" if width == n_features else f"it expects {width} features, not {n_features}"


def shadowed_method(estimator: Any) -> str:
    """Return why a stored value would replace a method; "" if none does."""
    shadowed = [key for key in getattr(estimator, "__dict__", ()) if callable(getattr(type(estimator), key, None))]
    return f"it has a value instead of the method {shadowed[0]}" if shadowed else ""


@dataclass(frozen=True)
class SkopsFile:
    """Stores a scikit-learn estimator.

    classes: implementation -> `module.class` of the fitted estimator. trusted: the other types that the file may
    contain, as pairs of skops loader and `module.class`; plain nodes are always allowed. check(estimator, n_features):
    returns why an estimator of the right class cannot be used, "" if it can. name: file name.
    """

    classes: Mapping[str, str]
    trusted: frozenset[NodeType] = frozenset()
    check: Callable[[Any, int], str] = feature_count_problem
    name: str = "estimator.skops"

    def save(self, estimator: Any, folder: Path) -> None:
        """Save a fitted estimator in a folder."""
        import skops.io

        skops.io.dump(estimator, folder / self.name, compression=zipfile.ZIP_DEFLATED, compresslevel=6)

    def load(self, folder: Path, implementation: str, n_features: int) -> Any:
        """Load an estimator for `n_features` columns.

        Raises AccessError for an archive with other types, DataError for a damaged one.
        """
        import skops.io

        path = folder / self.name
        allowed = PLAIN_NODES | self.trusted | {("ObjectNode", name) for name in self.classes.values()}
        try:
            file = open_plain(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error}).", hint=FETCH_AGAIN) from error
        # The check and skops read the same open file, so it cannot be replaced in between.
        with file:
            schema, arrays = read_archive(file, path)
            check_schema(schema, arrays, allowed, path)
            file.seek(0)
            with translate_load_errors(path):
                estimator = skops.io.load(file, trusted=sorted({name for _, name in allowed}))
        self._check(estimator, self.classes[implementation], n_features, path)
        return estimator

    def _check(self, estimator: Any, expected: str, n_features: int, path: Path) -> None:
        """Raise DataError unless the estimator can be used, without calling it."""
        try:
            if class_name(estimator) != expected:
                problem = f"it contains {class_name(estimator)}, not {expected}"
            else:
                problem = shadowed_method(estimator) or self.check(estimator, n_features)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            raise DataError(f"{path}: the model cannot be used: {problem[:300]}.", hint=FETCH_AGAIN)
