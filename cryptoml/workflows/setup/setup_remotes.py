"""Connect git, DVC and MLflow to a DagsHub repository, test each, and restore all local files on a failure."""

from __future__ import annotations

from pydantic import SecretStr

from cryptoml import events
from cryptoml.errors import UsageError
from cryptoml.remotes.dagshub import Addresses
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.restore_point import Snapshot
from cryptoml.settings import LOCAL_STORE, Settings
from cryptoml.tracking.moving.local_runs import local_runs_note
from cryptoml.workflows.setup import notes
from cryptoml.workflows.setup.dagshub_steps import find_or_create_repository, write_env
from cryptoml.workflows.setup.git_steps import REMOTE, connect_git, git_urls, ignore_files, push_branches
from cryptoml.workflows.setup.login import Login, choose_slug, log_in
from cryptoml.workflows.setup.records import Part, SetupRequest, SetupResult
from cryptoml.workflows.setup.store_steps import connect_dvc, prove_mlflow


def setup_remotes(request: SetupRequest, *, on_event: events.OnEvent = events.ignore) -> SetupResult:
    """Connect and test all parts. Idempotent. A dry run only reports what would be changed.

    Raise CryptomlError after restoring all local files.
    """
    return _set_up_locally(request, on_event) if request.local else _set_up_dagshub(request, on_event)


def _set_up_locally(request: SetupRequest, on_event: events.OnEvent) -> SetupResult:
    """Set up DVC with a remote below .cryptoml and MLflow with a store in the project folder; leave git unchanged."""
    settings, dry_run = request.settings, request.dry_run
    folder = settings.project_dir
    # A clone with a DagsHub repository in its settings may also have a local store.
    is_local = settings.tracking_uri is None and settings.mlflow_uri().startswith("sqlite:")
    used = settings.model_copy(update={"tracking_uri": LOCAL_STORE} if is_local else {})
    with Snapshot(folder, enabled=not dry_run):
        url = str(folder / dvc_project.LOCAL_STORE)
        parts = [
            connect_dvc(folder, request, name=dvc_project.LOCAL_REMOTE, url=url, credentials=None),
            ignore_files(folder, dry_run=dry_run),
            prove_mlflow(used, request, on_event=on_event),
        ]
    found = () if dry_run else notes.uncommitted(folder)
    return SetupResult("this machine", dry_run, _done(parts), tuple(found))


def _set_up_dagshub(request: SetupRequest, on_event: events.OnEvent) -> SetupResult:
    """Set up git, DVC and MLflow with a DagsHub repository."""
    settings, dry_run = request.settings, request.dry_run
    folder = settings.project_dir
    if request.read_only and (request.create or request.push):
        raise UsageError(
            "--read-only cannot be combined with --create, --push or --branches.", hint="remove one of these options"
        )
    if request.trust_host:
        settings = settings.trusting(settings.dagshub_host)
    login = log_in(settings, request.ask_token)
    slug = choose_slug(settings, owner=request.owner, repo=request.repo, login=login.user, git_urls=git_urls(folder))
    repository, part = find_or_create_repository(request, login, slug, on_event=on_event)
    parts: list[Part | None] = [part]
    at = Addresses(login.hub.host, repository.slug if repository else slug)
    connected = _connected(settings, at, login)
    with Snapshot(folder, enabled=not dry_run) as snapshot:
        remote, part = connect_git(
            folder, at, login.token, force=request.force, dry_run=dry_run, on_failure=snapshot.on_failure
        )
        parts.append(part)
        parts.append(connect_dvc(folder, request, name=REMOTE, url=at.dvc, credentials=(login.user, login.token)))
        parts.append(ignore_files(folder, dry_run=dry_run))
        parts.append(write_env(folder, at, login, dry_run=dry_run))
        if repository is not None:
            parts.append(prove_mlflow(connected, request, on_event=on_event))
    found = []
    if request.push and not dry_run:
        pushed = push_branches(folder, remote, request.branches)
        parts.append(pushed)
        found += [] if pushed else ["nothing was pushed: the repository has no commit"]
    found += notes.overridden(at, login.token)
    if request.read_only:
        found += notes.read_only()
    if not dry_run:
        found += filter(None, [local_runs_note(connected)])
        found += notes.uncommitted(folder)
    return SetupResult(at.page, dry_run, _done(parts), tuple(found))


def _connected(settings: Settings, at: Addresses, login: Login) -> Settings:
    """Return the settings with the values that are written to `.env`."""
    # The login has checked that the host is trusted; `.env` will contain both host and token.
    return settings.trusting(at.host).model_copy(
        update={
            "dagshub_username": login.user,
            "dagshub_token": SecretStr(login.token),
            "dagshub_repo": at.slug,
            "tracking_uri": at.mlflow,
            "tracking_username": login.user,
            "tracking_password": SecretStr(login.token),
        }
    )


def _done(parts: list[Part | None]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part is not None)
