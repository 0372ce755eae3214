"""Import the libraries of a training before its threads start.

When two threads import packages with circular imports, Python avoids a deadlock by exposing a partially initialised
module. Therefore everything that more than one thread imports is imported here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
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
)
PLOT_MODULES = (
    "pandas",
    "pyarrow.csv",
    "cryptoml.reports.forecast_files",
    "cryptoml.reports.plots",
    "matplotlib.figure",
    "matplotlib.dates",
    "matplotlib.backends.backend_agg",
)


# A candle takes about this many bytes in a file; compressed files have more candles than the estimate.
_BYTES_PER_CANDLE = 60


def preload(choices: Sequence[ModelChoice], files: Sequence[Path]) -> None:
    """Import the libraries of a training and of the chosen models.

    For large files, the libraries of the models are imported in the process that fits are forked from, in the
    background. Whether fits run there is decided by the number of rows, once the first file has been read.
    """
    from cryptoml.system.workers import start_import
    from cryptoml.training.pools import PROCESS_ROWS

    in_workers = [*dict.fromkeys(name for choice in choices for name in _modules(choice)), *PLOT_MODULES]
    if sum(file.stat().st_size for file in files if file.is_file()) >= PROCESS_ROWS * _BYTES_PER_CANDLE:
        start_import(("cryptoml.training.fit_task", "threadpoolctl", "sklearn.preprocessing", *in_workers))
        in_workers = []
    for name in (*MODULES, *in_workers):
        import_module(name)


def _modules(choice: ModelChoice) -> tuple[str, ...]:
    model = choice.spec
    return model.implementations[model.implementation(model.read(choice.params), 1)]
