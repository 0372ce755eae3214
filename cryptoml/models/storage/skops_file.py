"""Scikit-learn estimators in skops files; each is checked before and after it is loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN, read_archive
from cryptoml.models.storage.archive_schema import PLAIN_NODES, NodeType, check_schema
from cryptoml.models.storage.load_errors import load_errors
from cryptoml.models.storage.model_files import open_plain
from cryptoml.models.storage.trees import class_name


def width_problem(estimator: Any, n_features: int) -> str:
    """Why an estimator does not take `n_features` columns; "" when it does."""
    width = estimator.n_features_in_
    return "" if width == n_features else f"it takes {width} features, not {n_features}"


def shadowed_method(estimator: Any) -> str:
    """Names a method that a stored value would replace; "" when there is none."""
    shadowed = [key for key in getattr(estimator, "__dict__", ()) if callable(getattr(type(estimator), key, None))]
    return f"it has a value in place of the method {shadowed[0]}" if shadowed else ""


@dataclass(frozen=True)
class SkopsFile:
    """How an estimator of scikit-learn is stored.

    classes: `module.class` of the fitted estimator, by implementation. trusted: pairs of skops' loader and
    `module.class` that the file may hold beside those and the plain nodes, and nothing else. check(estimator,
    n_features): why an estimator of the right class cannot be used, "" when it can. name: of the file.
    """

    classes: Mapping[str, str]
    trusted: frozenset[NodeType] = frozenset()
    check: Callable[[Any, int], str] = width_problem
    name: str = "estimator.skops"

    def save(self, estimator: Any, folder: Path) -> None:
        """Write a fitted estimator into a folder."""
        import skops.io

        skops.io.dump(estimator, folder / self.name, compression=zipfile.ZIP_DEFLATED, compresslevel=6)

    def load(self, folder: Path, implementation: str, n_features: int) -> Any:
        """Read an estimator for `n_features` columns.

        Raises AccessError for an archive that holds any other type, DataError for one that is damaged.
        """
        import skops.io

        path = folder / self.name
        allowed = PLAIN_NODES | self.trusted | {("ObjectNode", name) for name in self.classes.values()}
        try:
            file = open_plain(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error}).", hint=FETCH_AGAIN) from error
        # The check and skops read the same open file, so that it cannot be replaced in between.
        with file:
            schema, arrays = read_archive(file, path)
            check_schema(schema, arrays, allowed, path)
            file.seek(0)
            with load_errors(path):
                estimator = skops.io.load(file, trusted=sorted({name for _, name in allowed}))
        self._check(estimator, self.classes[implementation], n_features, path)
        return estimator

    def _check(self, estimator: Any, expected: str, n_features: int, path: Path) -> None:
        """Raise DataError unless the estimator can be used; nothing here calls it."""
        try:
            if class_name(estimator) != expected:
                problem = f"it holds {class_name(estimator)}, not {expected}"
            else:
                problem = shadowed_method(estimator) or self.check(estimator, n_features)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            raise DataError(f"{path}: the model cannot be used: {problem[:300]}.", hint=FETCH_AGAIN)
