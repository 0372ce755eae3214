"""The definition of a model. Each model is a module of this package with one `Model`, listed in `zoo.py`.

`ridge.py` is a short example. Modules import their libraries inside functions, so that the names and parameters of all
models can be read without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cryptoml.config.parameters import Parameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from threadpoolctl import ThreadpoolController

P = TypeVar("P", bound=Parameters)
P_contra = TypeVar("P_contra", bound=Parameters, contravariant=True)


class Fit(Protocol[P_contra]):
    """Create an estimator and fit it."""

    def __call__(
        self, params: P_contra, X: NDArray[np.float32], y: NDArray[np.float64], *, seed: int, implementation: str
    ) -> Any:
        """Return the fitted estimator.

        X: (rows, features), scaled if configured, no NaN; y: log returns. The function is called from several threads
        in parallel, must use a single thread, and must be deterministic.
        """


class Storage(Protocol):
    """Saves and loads fitted estimators, for example `SkopsFile`."""

    def save(self, estimator: Any, folder: Path) -> None:
        """Save a fitted estimator in a folder, in a format that cannot contain code."""

    def load(self, folder: Path, implementation: str, n_features: int) -> Any:
        """Load a saved estimator; raises DataError for damaged files, AccessError for untrusted code."""


def predict(estimator: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Call `estimator.predict` in a single thread."""
    import numpy as np

    with _thread_pools(type(estimator).__qualname__).limit(limits=1):
        return np.asarray(estimator.predict(X), dtype=np.float64)


@cache
def _thread_pools(estimator_class: str) -> ThreadpoolController:
    """Return the thread pools, cached per estimator class, because detecting them takes longer than a forecast."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _no_check(params: Any) -> None:
    return None


def _no_importance(estimator: Any) -> None:
    return None


@dataclass(frozen=True)
class Range:
    """The values of a parameter that `cryptoml tune` tries; log: evenly on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Model(Generic[P]):
    """A model.

    key: the name in configs and in the tag `model_type`. long_name: the prefix of run names. summary: one sentence for
    the documentation. implementations: name -> modules to import before threads start; without `choose`, the first
    implementation is used. check: raises ConfigError if this machine cannot fit with the parameters. predict: returns
    raw forecasts of the log return, one per row. importance: returns a nonnegative weight per feature, or None.
    requirements: packages for loading other than scikit-learn and skops. space: the parameters that `cryptoml tune`
    varies; each range contains the default. is_baseline: always trained and never
    registered; the other models are compared with it. Exactly one model is the baseline.
    """

    key: str
    long_name: str
    summary: str
    parameters: type[P]
    implementations: Mapping[str, tuple[str, ...]]
    fit: Fit[P]
    storage: Storage
    choose: Callable[[P, int], str] | None = None
    check: Callable[[P], None] = _no_check
    predict: Callable[[Any, NDArray[np.float32]], NDArray[np.float64]] = predict
    importance: Callable[[Any], NDArray[np.float64] | None] = _no_importance
    requirements: tuple[str, ...] = ()
    space: Mapping[str, Range] = field(default_factory=dict)
    is_baseline: bool = False

    def read(self, params: Mapping[str, object]) -> P:
        """Parse parameters, with defaults for missing ones; raises pydantic's ValidationError."""
        return self.parameters.model_validate(dict(params))

    def implementation(self, params: P, n_rows: int) -> str:
        """Return the name of the implementation for these parameters and number of rows."""
        return self.choose(params, n_rows) if self.choose else next(iter(self.implementations))
