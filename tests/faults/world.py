"""What all cases share: the stand-in, candles, an undelivered training, a delivered one, data under DVC."""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from cryptoml.tracking.journal.records import decode, encode
from tests.conftest import Project, clean_environ
from tests.faults.accounts import Books
from tests.standin.server import Standin

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATA = "data/raw/sim.csv"
QUICK = (
    "--set", "split.cross_validation_folds=2", "--set", "tracking.profile_report=false",
    "--set", "gate.min_skill=-1", "--set", "models.xgb.n_estimators=5",
)  # fmt: skip
AWAY = "http://127.0.0.1:9"
TIMEOUT_S = "4"


T = TypeVar("T")


def made_once(make: Callable[[World], T]) -> property:
    """A property that is computed once, by whichever thread asks first."""

    @wraps(make)
    def get(world: World) -> T:
        with world.making:
            if make.__name__ not in world.made:
                world.made[make.__name__] = make(world)
            found: T = world.made[make.__name__]
            return found

    return property(get)


class World:
    """Made once for a campaign; each case gets folders, experiments and registered models of its own."""

    def __init__(self, root: Path, standin: Standin) -> None:
        self.root = root
        self.standin = standin
        self.owner = standin.state.owner
        self.token = standin.state.token_of(self.owner)
        self.slug = standin.state.new_repository(self.owner, f"faults-{secrets.token_hex(4)}").slug
        self.making = threading.RLock()
        self.made: dict[str, Any] = {}
        standin.mlflow.port()

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The token as it is, and as Basic carries it."""
        token = self.token
        pairs = (f"{self.owner}:{token}", f"{token}:{token}")
        return (token.encode(), *(base64.b64encode(pair.encode()) for pair in pairs))

    @made_once
    def client(self) -> MlflowClient:
        """A client of the MLflow server itself, past the stand-in and every proxy."""
        from mlflow import MlflowClient

        address = f"http://127.0.0.1:{self.standin.mlflow.port()}"
        return MlflowClient(address, registry_uri=address)

    @property
    def books(self) -> Books:
        """The store as its disk has it."""
        return Books(self.client, self.standin.mlflow.folder / "artifacts")

    def environ(self, home: Path, url: str, slug: str, experiment: str) -> dict[str, str]:
        """The environment of a project that reaches DagsHub at `url`."""
        temporary = home.with_name("tmp")
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            **clean_environ(home),
            "TMPDIR": str(temporary),
            "DAGSHUB_CLIENT_HOST": url,
            "DAGSHUB_USERNAME": self.owner,
            "DAGSHUB_REPO": slug,
            "DAGSHUB_TOKEN": self.token,
            "MLFLOW_EXPERIMENT_NAME": experiment,
            "CRYPTOML_STORE_TIMEOUT_S": TIMEOUT_S,
            # Uploads may take a minute otherwise, and a black hole three of them.
            "MLFLOW_HTTP_REQUEST_TIMEOUT": TIMEOUT_S,
        }

    def project(self, name: str, url: str, *, like: Path | None = None, slug: str = "", git: bool = False) -> Project:
        """A new project folder, a copy of `like`; `name` is its experiment, too."""
        folder = self.root / name / "work"
        if like is not None:
            shutil.copytree(like, folder, symlinks=True)
        (folder / ".cryptoml").mkdir(parents=True, exist_ok=True)
        environ = self.environ(self.root / name / "home", url, slug or self.slug, name)
        if git:
            self.use_git(environ)
        return Project(folder, environ)

    @made_once
    def candles(self) -> Path:
        """A project folder with candles and nothing else."""
        project = self.project("candles", AWAY)
        succeed(project, "sample-data", "--years", 0.1, "--signal", 0.2, "--seed", 3, "-o", DATA)
        return project.folder

    @made_once
    def with_sqlite(self) -> Path:
        """A project folder with candles and an empty SQLite store."""
        from cryptoml.tracking.store.store import open_store

        project = self.project("with-sqlite", AWAY, like=self.candles)
        with open_store(f"sqlite:///{project.folder / 'mlflow.db'}") as store:
            assert store.find_experiment_id("none") is None
        return project.folder

    @made_once
    def undelivered(self) -> Path:
        """A project whose training met no server: all of it waits in the journal."""
        project = self.project("undelivered", AWAY, like=self.candles)
        done = project.run("train", "--data", DATA, "--models", "ridge", *QUICK)
        assert done.code == 5, done.err
        return project.folder

    @made_once
    def trained(self) -> Mapping[str, str]:
        """Model type to run id of a delivered training; nothing of it is registered."""
        project = self.project("trained", self.standin.url, like=self.candles)
        done = project.run(
            "train", "--data", DATA, "--models", "ridge,xgb", *QUICK, "--set", "registry.register_best=false",
            "--json",
        )  # fmt: skip
        assert done.code == 0, done.err
        models = done.json()["models"]
        assert isinstance(models, list)
        return {one["model_type"]: one["run_id"] for one in models}

    @made_once
    def pushed(self) -> tuple[Path, str]:
        """A project connected to a repository, and the repository's slug; three data files were pushed."""
        slug = self.standin.state.new_repository(self.owner, f"data-{secrets.token_hex(4)}").slug
        project = self.project("pushed", self.standin.url, slug=slug, git=True)
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(project.folder)], check=True)
        succeed(project, "setup-remotes")
        write_data(project.folder, "pushed")
        succeed(project, "push-data", "-m", "three files")
        return project.folder, slug

    def use_git(self, environ: Mapping[str, str]) -> None:
        """Give git a name and an address to commit with."""
        for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
            subprocess.run(["git", "config", "--file", environ["GIT_CONFIG_GLOBAL"], name, text], check=True)

    def journal_copy(self, target: Path, *, experiment: str, model: str) -> None:
        """The undelivered training as another one: run keys, experiment and registered model of its own."""
        source = self.undelivered / ".cryptoml" / "journal"
        for file in sorted(source.glob("*/*.jsonl")):
            key = uuid4().hex
            folder = target / ".cryptoml" / "journal" / file.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            records, _ = decode(file.read_bytes())
            for record in records:
                if record["kind"] == "start":
                    record |= {"run_key": key, "experiment": experiment}
                elif record["kind"] == "registration":
                    record |= {"model_name": model, "pattern": model}
            kept = _without_most_code(records)
            (folder / f"{key}.jsonl").write_bytes(b"".join(encode(record) for record in kept))
            for path in [record["path"] for record in kept if record["kind"] == "artifact"]:
                target_file = folder / f"{key}.files" / path
                target_file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.with_suffix(".files") / path, target_file)

    def new_model(self, name: str) -> None:
        """A registered model with two versions of the delivered training, none in any stage."""
        self.client.create_registered_model(name)
        for model_type in ("ridge", "xgb"):
            run = self.trained[model_type]
            self.client.create_model_version(name, f"runs:/{run}/models/model", run, await_creation_for=0)


def _without_most_code(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with one in ten of the model's source files: a case is about requests, not about their number."""
    kept: list[dict[str, Any]] = []
    sources = 0
    for record in records:
        source = record["kind"] == "artifact" and "/code/" in record["path"]
        sources += source
        if not source or sources % 10 == 1:
            kept.append(record)
    return kept


def succeed(project: Project, *arguments: object) -> None:
    """Run a command that must succeed."""
    done = project.run(*arguments)
    assert done.code == 0, done.err


def write_data(folder: Path, text: str) -> None:
    """Three small data files."""
    for number in range(3):
        path = folder / "data" / "raw" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text} {number}\n" * 200)
