"""The models that can be trained. One entry in MODELS adds one: parameters, ranges, effects, and how it is made.

The defaults are made for returns, where almost everything is noise: many weak trees with large leaves, slow and
short boosting, a strong penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from cryptoml.config.schema import ParamSpec
from cryptoml.errors import UsageError

EXACT_BOOSTING_ROWS = 10_000
Params = Mapping[str, Any]


@dataclass(frozen=True)
class ModelSpec:
    """A model: its short key, the name runs carry, its parameters, and how an estimator is made of them.

    make(params, seed, implementation, n_rows) gives an unfitted estimator with scikit-learn's interface, one thread.
    implementation(params, n_rows) says which code will fit it. storage is how it is saved: skops or xgboost.
    estimators: `module.class` of the fitted estimator by implementation, for skops. stored_types: pairs of skops'
    loader and `module.class`, which alone a stored estimator may hold beside the plain ones of `safe_schema`.
    """

    key: str
    long_name: str
    doc: str
    params: Mapping[str, ParamSpec]
    make: Callable[[Params, int, str, int], Any]
    implementation: Callable[[Params, int], str]
    storage: str = "skops"
    requirements: tuple[str, ...] = ("scikit-learn", "skops")
    estimators: Mapping[str, str] = field(default_factory=dict)
    stored_types: frozenset[tuple[str, str]] = frozenset()


def get_model(key: str) -> ModelSpec:
    """The entry of MODELS; raises UsageError naming the nearest one."""
    if key in MODELS:
        return MODELS[key]
    by_long_name = {spec.long_name: name for name, spec in MODELS.items()}
    near = get_close_matches(key.lower(), [*MODELS, *by_long_name], n=1, cutoff=0.5)
    hint = by_long_name.get(near[0], near[0]) if near else ", ".join(MODELS)
    raise UsageError(f"{key}: there is no such model.", hint=f"use {hint}")


def _forest(params: Params, seed: int, implementation: str, n_rows: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    given = {name: value for name, value in params.items() if name not in ("implementation", "max_tree_rows")}
    given["max_samples"] = min(params["max_samples"], params["max_tree_rows"] / n_rows)
    return RandomForestRegressor(**given, random_state=seed, n_jobs=1)


def _forest_code(params: Params, n_rows: int) -> str:
    from cryptoml.models.forest import accelerator_installed

    if params["implementation"] != "auto":
        return str(params["implementation"])
    return "sklearnex" if accelerator_installed() else "sklearn"


def _boosting(params: Params, seed: int, implementation: str, n_rows: int) -> Any:
    if implementation == "exact":
        from sklearn.ensemble import GradientBoostingRegressor

        return GradientBoostingRegressor(
            n_estimators=params["n_estimators"],
            learning_rate=params["learning_rate"],
            max_depth=params["max_depth"],
            min_samples_leaf=params["min_samples_leaf"],
            max_features=params["max_features"],
            subsample=0.5,
            random_state=seed,
        )
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=params["n_estimators"],
        learning_rate=params["learning_rate"],
        max_depth=params["max_depth"],
        min_samples_leaf=params["min_samples_leaf"],
        max_features=params["max_features"],
        l2_regularization=params["l2_regularization"],
        max_bins=64,
        early_stopping=False,
        random_state=seed,
    )


def _boosting_code(params: Params, n_rows: int) -> str:
    if params["implementation"] != "auto":
        return str(params["implementation"])
    return "exact" if n_rows <= EXACT_BOOSTING_ROWS else "hist"


def _ridge(params: Params, seed: int, implementation: str, n_rows: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=params["alpha"], solver="cholesky")


def _xgboost(params: Params, seed: int, implementation: str, n_rows: int) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(
        **params, tree_method="hist", max_bin=64, objective="reg:squarederror", random_state=seed, n_jobs=1
    )


def _persistence(params: Params, seed: int, implementation: str, n_rows: int) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="constant", constant=0.0)


def _plainly(name: str) -> Callable[[Params, int], str]:
    return lambda params, n_rows: name


_DUMMY = "sklearn.dummy.DummyRegressor"
_RIDGE = "sklearn.linear_model._ridge.Ridge"
_FOREST = "sklearn.ensemble._forest.RandomForestRegressor"
_EXACT = "sklearn.ensemble._gb.GradientBoostingRegressor"
_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor"
_TREE_TYPES = frozenset(
    {("ObjectNode", "sklearn.tree._classes.DecisionTreeRegressor"), ("TreeNode", "sklearn.tree._tree.Tree")}
)
_LOSS_TYPES = frozenset(
    {
        ("LossNode", "sklearn._loss._loss.CyHalfSquaredError"),
        ("ObjectNode", "sklearn._loss.link.IdentityLink"),
        ("ObjectNode", "sklearn._loss.link.Interval"),
        ("ObjectNode", "sklearn._loss.loss.HalfSquaredError"),
    }
)
# The scaler of every model, and the types its file may hold.
SCALER = "sklearn.preprocessing._data.StandardScaler"
SCALER_TYPES = frozenset({("ObjectNode", SCALER)})

MODELS: dict[str, ModelSpec] = {
    spec.key: spec
    for spec in (
        ModelSpec(
            key="persistence",
            long_name="persistence",
            doc="The forecast 'no change': what every other model is measured against.",
            params={},
            make=_persistence,
            implementation=_plainly("constant"),
            estimators={"constant": _DUMMY},
            stored_types=frozenset({("ObjectNode", _DUMMY)}),
        ),
        ModelSpec(
            key="rf",
            long_name="random_forest",
            doc="RandomForestRegressor: many deep-enough trees on random parts of rows and features.",
            params={
                "n_estimators": ParamSpec(
                    200, "trees; more is steadier, slower and larger", kind=int, low=1, high=5000
                ),
                "max_depth": ParamSpec(None, "longest path; less is smoother", kind=int, low=1, high=64, optional=True),
                "min_samples_leaf": ParamSpec(
                    100,
                    "rows a leaf; more is smoother and makes smaller files",
                    kind=int,
                    low=1,
                    high=100_000,
                ),
                "max_features": ParamSpec(
                    0.3, "share of features tried a split; less makes trees differ more", low=0.01, high=1.0
                ),
                "max_samples": ParamSpec(
                    0.5, "share of rows a tree sees; less is quicker and smoother", low=0.01, high=1.0
                ),
                "max_tree_rows": ParamSpec(
                    50_000,
                    "rows a tree sees at most; keeps years of minutes quick and their forests small",
                    kind=int,
                    low=100,
                    high=100_000_000,
                ),
                "implementation": ParamSpec(
                    "auto",
                    "code that grows the trees; auto takes sklearnex where it is installed",
                    kind=str,
                    choices=("auto", "sklearn", "sklearnex"),
                ),
            },
            make=_forest,
            implementation=_forest_code,
            estimators={"sklearn": _FOREST, "sklearnex": _FOREST},
            stored_types=_TREE_TYPES | {("ObjectNode", _FOREST)},
        ),
        ModelSpec(
            key="gbm",
            long_name="gradient_boosting",
            doc="Gradient boosting: exact splits on small data, histogram splits above 10,000 rows.",
            params={
                "n_estimators": ParamSpec(100, "boosting rounds; more fits closer", kind=int, low=1, high=10_000),
                "learning_rate": ParamSpec(0.03, "weight of a round; less needs more rounds", low=1e-4, high=1.0),
                "max_depth": ParamSpec(
                    3, "longest path of a tree; the order of interactions", kind=int, low=1, high=16
                ),
                "min_samples_leaf": ParamSpec(200, "rows a leaf; more is smoother", kind=int, low=1, high=100_000),
                "max_features": ParamSpec(
                    0.3, "share of features tried a split; less makes rounds differ more", low=0.01, high=1.0
                ),
                "l2_regularization": ParamSpec(
                    10.0, "pulls leaf values to zero (histogram form only)", low=0.0, high=1e6
                ),
                "implementation": ParamSpec(
                    "auto",
                    "exact splits, or histogram splits; auto goes by the number of rows",
                    kind=str,
                    choices=("auto", "exact", "hist"),
                ),
            },
            make=_boosting,
            implementation=_boosting_code,
            estimators={"exact": _EXACT, "hist": _HISTOGRAM},
            stored_types=_TREE_TYPES
            | _LOSS_TYPES
            | {
                ("NdArrayNode of objects", "numpy.ndarray"),
                ("ObjectNode", _DUMMY),
                ("ObjectNode", _EXACT),
                ("ObjectNode", _HISTOGRAM),
                ("ObjectNode", "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper"),
                ("ObjectNode", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"),
                ("RandomGeneratorNode", "numpy.random._generator.Generator"),
                ("RandomStateNode", "numpy.random.mtrand.RandomState"),
            },
        ),
        ModelSpec(
            key="ridge",
            long_name="ridge",
            doc="Ridge: linear in the scaled features, with a squared penalty.",
            params={"alpha": ParamSpec(10_000.0, "penalty; more pulls the coefficients to zero", low=0.0, high=1e12)},
            make=_ridge,
            implementation=_plainly("cholesky"),
            estimators={"cholesky": _RIDGE},
            stored_types=frozenset({("ObjectNode", _RIDGE)}),
        ),
        ModelSpec(
            key="xgb",
            long_name="xgboost",
            doc="XGBRegressor: boosted trees on random parts of rows and features.",
            params={
                "n_estimators": ParamSpec(100, "boosting rounds; more fits closer", kind=int, low=1, high=10_000),
                "learning_rate": ParamSpec(0.03, "weight of a round; less needs more rounds", low=1e-4, high=1.0),
                "max_depth": ParamSpec(
                    3, "longest path of a tree; the order of interactions", kind=int, low=1, high=16
                ),
                "min_child_weight": ParamSpec(200.0, "rows a leaf; more is smoother", low=0.0, high=1e6),
                "subsample": ParamSpec(0.5, "share of rows a round sees", low=0.01, high=1.0),
                "colsample_bytree": ParamSpec(0.3, "share of features a round sees", low=0.01, high=1.0),
                "reg_lambda": ParamSpec(10.0, "pulls leaf values to zero", low=0.0, high=1e6),
            },
            make=_xgboost,
            implementation=_plainly("hist"),
            storage="xgboost",
            requirements=("scikit-learn", "skops", "xgboost"),
        ),
    )
}
