"""Connect the DVC remote and the MLflow store, and test each with a round trip."""

from __future__ import annotations

from pathlib import Path

from cryptoml import events
from cryptoml.errors import ConfigError, CryptomlError
from cryptoml.remotes import git_remote
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc import transfer as dvc_transfer
from cryptoml.settings import Settings
from cryptoml.workflows.setup.records import NOTHING, Part, SetupRequest


def connect_dvc(
    folder: Path, request: SetupRequest, *, name: str, url: str, credentials: tuple[str, str] | None
) -> Part:
    """Make `url` the default DVC remote and test it by writing and reading a small file (read_only: only reading).

    Raise ConfigError if a remote with this name points to another URL, unless the request sets `force`.
    """
    is_project = dvc_project.is_project(folder)
    if not is_project and not request.dry_run:
        dvc_project.init_project(folder)
    remotes = dvc_project.remotes(folder) if is_project or not request.dry_run else ()
    before = next((f"{one.name} {one.url}" for one in remotes if one.is_default), NOTHING)
    same = next((one for one in remotes if one.name == name), None)
    if same is not None and same.url != url and not request.force:
        raise ConfigError(f"DVC remote {name} points to {same.address}.", hint="replace it with --force")
    after = f"{name} {url}"
    shown = git_remote.without_secrets(before)
    if request.dry_run:
        return Part("dvc", shown, after)
    if before != after:
        dvc_project.set_remote(folder, name, url)
    if credentials and (same is None or same.credentials != credentials):
        dvc_project.set_secret(folder, name, user=credentials[0], password=credentials[1])
    remote = dvc_project.default_remote(folder)
    if request.read_only:
        dvc_probe.check_access(remote)
        return Part("dvc", shown, after, "read access")
    try:
        dvc_transfer.check_round_trip(folder, remote)
    except CryptomlError:
        # The probe reports a more precise error.
        dvc_probe.check_access(remote)
        raise
    return Part("dvc", shown, after, "wrote and read a small file")


def prove_mlflow(settings: Settings, request: SetupRequest, *, on_event: events.OnEvent) -> Part:
    """Test the store of `settings` by writing and reading a run with an artifact (read_only: only reading)."""
    from cryptoml.tracking.round_trip import check_round_trip
    from cryptoml.tracking.store.project_store import INSPECT, TRAIN, open_project_store

    before = git_remote.without_secrets(request.settings.mlflow_uri())
    after = settings.mlflow_uri()
    if request.dry_run:
        return Part("mlflow", before, after)
    with open_project_store(settings, INSPECT if request.read_only else TRAIN, on_event=on_event) as store:
        if request.read_only:
            store.find_experiment_id(settings.experiment_name)
            return Part("mlflow", before, after, "read the experiments")
        done = check_round_trip(store)
    proof = f"wrote and read a run and {done.size // 1024} KiB in {done.seconds:.1f} s"
    return Part("mlflow", before, after, proof)
