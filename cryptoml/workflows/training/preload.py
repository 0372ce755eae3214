"""Import the libraries of a training before its threads start.

When two threads import packages with circular imports, Python avoids a deadlock by exposing a partially initialised
module. Therefore everything that more than one thread imports is imported here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptoml.training.results import ModelChoice

MODULES = (
    "yaml",
    "pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.preprocessing",
    "skops.io",
    "threadpoolctl",
    "matplotlib.figure",
    "matplotlib.dates",
    "matplotlib.backends.backend_agg",
)


def preload(choices: Sequence[ModelChoice]) -> None:
    """Import the libraries of a training and of the chosen models."""
    for name in MODULES:
        import_module(name)
    for choice in choices:
        model = choice.spec
        for name in model.implementations[model.implementation(model.read(choice.params), 1)]:
            import_module(name)
