"""What a model is. Each model is a module of this package with one `Model`, listed in `zoo.py`.

`ridge.py` is a short one to start a new model from. A module imports its libraries inside functions, so that the
names and parameters of all models are read without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    """Make an estimator and fit it."""

    def __call__(
        self, params: P_contra, X: NDArray[np.float32], y: NDArray[np.float64], *, seed: int, implementation: str
    ) -> Any:
        """Return the fitted estimator.

        X: (rows, features), scaled if the config says so, without NaN; y: log returns. It is called in several
        threads at once and must use one thread; its digits depend on nothing but the arguments.
        """


class Storage(Protocol):
    """How fitted estimators are written and read, such as `SkopsFile`."""

    def save(self, estimator: Any, folder: Path) -> None:
        """Write a fitted estimator into a folder, in a format that no code runs from."""

    def load(self, folder: Path, implementation: str, n_features: int) -> Any:
        """Read what `save` wrote; raises DataError for damaged files, AccessError for those that name other code."""


def predict(estimator: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Forecast with scikit-learn's interface, in one thread."""
    import numpy as np

    with _thread_pools(type(estimator).__qualname__).limit(limits=1):
        return np.asarray(estimator.predict(X), dtype=np.float64)


@cache
def _thread_pools(estimator_class: str) -> ThreadpoolController:
    """The thread pools once such an estimator exists; detecting them takes longer than a forecast."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _no_importance(estimator: Any) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Model(Generic[P]):
    """One kind of model.

    key: the name in configs and in the tag `model_type`. long_name: the prefix of run names. summary: one sentence
    for the documentation. implementations: by name, the modules that fitting with it imports (they are imported
    before threads start); the first is the default of `choose`. predict: raw forecasts of log return, one per row.
    importance: a weight of at least 0 per feature, or None. requirements: packages that loading needs beyond
    scikit-learn and skops. is_baseline: it is always trained, the others are compared with it, and it is never
    registered; exactly one model is.
    """

    key: str
    long_name: str
    summary: str
    parameters: type[P]
    implementations: Mapping[str, tuple[str, ...]]
    fit: Fit[P]
    storage: Storage
    choose: Callable[[P, int], str] | None = None
    predict: Callable[[Any, NDArray[np.float32]], NDArray[np.float64]] = predict
    importance: Callable[[Any], NDArray[np.float64] | None] = _no_importance
    requirements: tuple[str, ...] = ()
    is_baseline: bool = False

    def read(self, params: Mapping[str, object]) -> P:
        """The parameters as an object, with defaults for those not given; raises pydantic's ValidationError."""
        return self.parameters.model_validate(dict(params))

    def implementation(self, params: P, n_rows: int) -> str:
        """The name of the implementation that fits `n_rows` rows with these parameters."""
        return self.choose(params, n_rows) if self.choose else next(iter(self.implementations))
