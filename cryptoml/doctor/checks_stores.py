"""Checks of artifact locations: write permission, and locations of a moved project."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning
from cryptoml.errors import CryptomlError
from cryptoml.tracking.store.store import Store


@check("mlflow-artifacts", needs=("mlflow",), network=lambda context: is_elsewhere(context))
def mlflow_artifacts(context: Context) -> Iterator[Finding]:
    """Artifacts can be written to the experiment's location."""
    store, name = context.store(), context.config.experiment_name
    location = store.artifact_location(name)
    if location is None:
        yield ok(f"experiment {name} does not exist yet; the first training creates it and checks its location")
        return
    try:
        store.experiment_id(name)
    except CryptomlError as failure:
        yield error(failure.fact.rstrip("."), failure.hint)
        return
    shown = store.roots.current(location) if store.roots else location
    yield ok(f"experiment {name} stores them in {shown}")


def is_elsewhere(context: Context) -> bool:
    """Return whether the store or its artifacts may be on another machine."""
    if context.settings is None:
        return False
    return not context.settings.mlflow_uri().startswith("sqlite:") or "://" in (context.settings.artifact_root or "")


def moved_project(store: Store) -> Iterator[Finding]:
    """Warn if the database contains a former folder of the project."""
    if store.roots is None or not store.roots.former:
        return
    former = ", ".join(map(str, store.roots.former))
    yield warning(
        f"the project was moved or copied from {former}, and its database contains that folder; files are read from "
        f"{store.roots.folder}, and nothing is written to {former}",
        "cryptoml doctor --fix rewrites the locations; the next cryptoml train, promote or ui also does",
        _rewriter(store),
    )


def _rewriter(store: Store) -> Callable[[], None]:
    def rewrite() -> None:
        from cryptoml.tracking.store.artifacts.roots import follow
        from cryptoml.tracking.store.sqlite_file import database_path

        follow(database_path(store.uri), tell=lambda sentence: None)

    return rewrite
