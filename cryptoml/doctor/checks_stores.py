"""Checks of where artifacts go: locations that a moved project left in its database, and rights to write there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning
from cryptoml.errors import CryptomlError
from cryptoml.tracking.store.store import Store


@check("mlflow-artifacts", needs=("mlflow",), network=lambda context: is_elsewhere(context))
def mlflow_artifacts(context: Context) -> Iterator[Finding]:
    """Artifacts can be written where the experiment keeps them."""
    store, name = context.store(), context.config.experiment_name
    location = store.artifact_location(name)
    if location is None:
        yield ok(f"experiment {name} is not there yet; the first training checks its place before it makes it")
        return
    try:
        store.experiment_id(name)
    except CryptomlError as fault:
        yield error(fault.fact.rstrip("."), fault.hint)
        return
    shown = store.roots.current(location) if store.roots else location
    yield ok(f"experiment {name} keeps them at {shown}")


def is_elsewhere(context: Context) -> bool:
    """Whether the store or its artifacts may be on another machine."""
    if context.settings is None:
        return False
    return not context.settings.mlflow_uri().startswith("sqlite:") or "://" in (context.settings.artifact_root or "")


def moved_project(store: Store) -> Iterator[Finding]:
    """A warning where the database still names the folder that the project was in before; nothing otherwise."""
    if store.roots is None or not store.roots.former:
        return
    former = ", ".join(map(str, store.roots.former))
    yield warning(
        f"the project was moved or copied from {former}, and its database still names that folder; reading finds the "
        f"files in {store.roots.folder}, nothing is written to {former}",
        "cryptoml doctor --fix rewrites the locations; the next cryptoml train, promote or ui does so as well",
        _rewriter(store),
    )


def _rewriter(store: Store) -> Callable[[], None]:
    def rewrite() -> None:
        from cryptoml.tracking.store.artifacts.roots import follow
        from cryptoml.tracking.store.sqlite_file import database_path

        follow(database_path(store.uri), tell=lambda sentence: None)

    return rewrite
