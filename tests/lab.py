"""A trained project for tests of what comes after training: real runs on simulated candles, used in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cryptoml
from cryptoml.config.load import load_config
from cryptoml.config.schema import Config
from cryptoml.models.zoo import MODELS
from cryptoml.registry.model_digest import MODEL_SHA256, model_digest
from cryptoml.settings import Settings, load_settings
from cryptoml.tracking.store.store import Store
from tests.conftest import Project, make_project

MODELS_TRAINED = ("ridge", "xgb", "gbm")


@dataclass(frozen=True)
class Lab:
    """The project, and the run of each model type."""

    project: Project
    runs: dict[str, str]
    names: dict[str, str]

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return load_settings(cwd=self.project.folder)

    @property
    def data(self) -> Path:
        """The candles it was trained on."""
        return self.project.folder / "data" / "raw" / "sim.csv"


def config_of(model_name: str, **sections: dict[str, object]) -> Config:
    """The default config with another registered model, and other values by section."""
    overrides = [f"{section}.{key}={value}" for section, values in sections.items() for key, value in values.items()]
    return load_config(
        None,
        models=MODELS,
        overrides=[f"registry.model_name={model_name}", *overrides],
        environ={},
        dotenv={},
    ).config


def make_lab(folder: Path, *, signal: float = 0.05) -> Lab:
    """Train once; nothing is registered."""
    project = make_project(folder)
    made = project.run("sample-data", "--years", 0.5, "--signal", signal, "--seed", 3, "-o", "data/raw/sim.csv")
    assert made.code == 0, made.err
    done = project.run(
        "train", "--models", ",".join(MODELS_TRAINED), "--set", "tracking.profile_report=false",
        "--set", "split.cross_validation_folds=3", "--set", "registry.register_best=false",
        "--set", "models.xgb.n_estimators=20", "--set", "models.gbm.n_estimators=20", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    models = done.json()["models"]
    assert isinstance(models, list)
    return Lab(
        project,
        {one["model_type"]: one["run_id"] for one in models},
        {one["model_type"]: one["run_name"] for one in models},
    )


@contextmanager
def turned_around(lab: Lab, store: Store, model: str) -> Iterator[None]:
    """The stored model forecasts the opposite, three times over; its recorded digests are those of the new files."""
    folder = stored_model(lab, store, model)
    file = folder / "data" / "forecaster" / "forecaster.json"
    kept = file.read_text()
    file.write_text(json.dumps(json.loads(kept) | {"shrinkage": -3.0}))
    record_digest(store, lab.runs[model], model_digest(folder))
    try:
        yield
    finally:
        file.write_text(kept)
        record_digest(store, lab.runs[model], model_digest(folder))


def stored_model(lab: Lab, store: Store, model: str) -> Path:
    """The folder of a run's model in the store."""
    root = store.client.get_run(lab.runs[model]).info.artifact_uri.removeprefix("file://")
    return Path(root) / "models" / "model"


def kept_model(lab: Lab, model: str) -> Path:
    """The folder in which a run's model is kept once it was loaded."""
    return lab.settings.project_dir / ".cryptoml" / "models" / lab.runs[model]


def first_layout(model: Path) -> None:
    """Turn a stored model into what the first release stored: the whole package as files, and an input example."""
    from mlflow.models import Model

    package = Path(cryptoml.__file__).parent
    shutil.copytree(package, model / "code" / "cryptoml", ignore=shutil.ignore_patterns("__pycache__"))
    (model / "cryptoml.zip").unlink()
    described = Model.load(str(model))
    described.flavors["python_function"]["code"] = "code"
    described.save(str(model / "MLmodel"))
    for name in ("input_example.json", "serving_input_example.json"):
        (model / name).write_text("{}\n")


def record_digest(store: Store, run_id: str, digest: str) -> None:
    store.client.set_tag(run_id, MODEL_SHA256, digest)
    for version in store.client.search_model_versions(f"run_id = '{run_id}'"):
        store.client.set_model_version_tag(version.name, version.version, MODEL_SHA256, digest)
