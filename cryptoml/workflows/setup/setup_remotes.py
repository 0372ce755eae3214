"""Connects git, DVC and MLflow to a DagsHub repository, proves each, and takes everything back when one fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretStr

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, CryptomlError, UsageError
from cryptoml.remotes import env_file, git, git_remote
from cryptoml.remotes.dagshub import Addresses, DagsHub, Repository
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc import transfer as dvc_transfer
from cryptoml.remotes.restore_point import Snapshot
from cryptoml.settings import LOCAL_STORE, Settings, read_dotenv
from cryptoml.system.hosts import DEFAULT_HOST
from cryptoml.tracking.moving.local_runs import local_runs_note
from cryptoml.workflows.setup import notes
from cryptoml.workflows.setup.login import AskToken, choose_slug, log_in
from cryptoml.workflows.setup.results import NOTHING, Part, SetupResult

REMOTE = "dagshub"


@dataclass(frozen=True)
class SetupRequest:
    """What to connect to. owner and repo: by default the settings', else those of a git remote at the host.

    ask_token: asks for a token, where somebody can be asked; trust_host: the token may go to DagsHub's host wherever
    that is named; read_only: nothing is written to the remotes, each is proven by reading.
    """

    settings: Settings
    ask_token: AskToken | None = None
    trust_host: bool = False
    read_only: bool = False
    owner: str | None = None
    repo: str | None = None
    create: bool = False
    private: bool = True
    push: bool = False
    branches: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False
    local: bool = False


def setup_remotes(request: SetupRequest, *, on_event: events.OnEvent = events.ignore) -> SetupResult:
    """Connect everything; a second call changes nothing. In a dry run, look and say what would be done.

    Raises CryptomlError with everything on this machine as it was before.
    """
    work = _Setup(request, on_event)
    return work.local() if request.local else work.dagshub()


@dataclass
class _Setup:
    request: SetupRequest
    on_event: events.OnEvent
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.request.settings.project_dir
        self.dry = self.request.dry_run

    def local(self) -> SetupResult:
        """git as it is, DVC on a folder below .cryptoml, MLflow in the project folder."""
        # Asked for: a clone that names DagsHub may have a store here, too.
        settings = self.request.settings
        local = settings.tracking_uri is None and settings.mlflow_uri().startswith("sqlite:")
        here = {"tracking_uri": LOCAL_STORE} if local else {}
        with Snapshot(self.folder, enabled=not self.dry):
            self._dvc_init()
            self._dvc_remote(dvc_project.LOCAL_REMOTE, str(self.folder / dvc_project.LOCAL_STORE), None)
            self._ignore()
            self._mlflow_proof(settings.model_copy(update=here))
        if not self.dry:
            self.notes += notes.uncommitted(self.folder)
        return SetupResult("this machine", self.dry, tuple(self.parts), tuple(self.notes))

    def dagshub(self) -> SetupResult:
        """Everything at DagsHub."""
        asked, settings = self.request, self.request.settings
        if asked.read_only and (asked.create or asked.push):
            raise UsageError("--read-only writes nothing to DagsHub.", hint="leave out --create, --push and --branches")
        if asked.trust_host:
            settings = settings.trusting(settings.dagshub_host)
        login = log_in(settings, asked.ask_token)
        slug = choose_slug(settings, owner=asked.owner, repo=asked.repo, login=login.user, git_urls=self._git_urls())
        repository = self._repository(login.hub, slug, login.user)
        at = Addresses(login.hub.host, repository.slug if repository else slug)
        # The login has shown that the token may go to this host; what is written names both in one place.
        connected = settings.trusting(at.host).model_copy(
            update={
                "dagshub_username": login.user,
                "dagshub_token": SecretStr(login.token),
                "dagshub_repo": at.slug,
                "tracking_uri": at.mlflow,
                "tracking_username": login.user,
                "tracking_password": SecretStr(login.token),
            }
        )
        with Snapshot(self.folder, enabled=not self.dry) as snapshot:
            name = self._git(at, login.token, snapshot.on_failure)
            self._dvc_init()
            self._dvc_remote(REMOTE, at.dvc, (login.user, login.token))
            self._ignore()
            self._env(at, login.user, login.token)
            if repository is not None:
                self._mlflow_proof(connected)
        if asked.push and not self.dry:
            self._push(name)
        self.notes += notes.overridden(at, login.token)
        if asked.read_only:
            self.notes += notes.read_only()
        if not self.dry:
            self.notes += filter(None, [local_runs_note(connected)])
            self.notes += notes.uncommitted(self.folder)
        return SetupResult(at.page, self.dry, tuple(self.parts), tuple(self.notes))

    def _repository(self, hub: DagsHub, slug: str, login: str) -> Repository | None:
        found = hub.find_repository(slug)
        if found is None:
            if not self.request.create:
                raise UsageError(
                    f"{slug}: there is no such repository, or {login} may not see it.",
                    hint="correct --owner and --repo, or add --create to make it (private)",
                )
            kind = "private" if self.request.private else "public"
            if not self.dry:
                found = hub.create_repository(slug, private=self.request.private, login=login)
                self.on_event(events.Info(f"created {slug} ({kind})"))
            self.parts.append(Part("repository", NOTHING, f"{slug} ({kind})", "" if self.dry else "created"))
            return found
        if not found.may_push and not self.request.read_only:
            raise AccessError(
                f"{slug}: {login} may read it but not write.",
                hint="cryptoml setup-remotes --read-only, or ask its owner for write permission",
            )
        said = f"{found.slug} ({'private' if found.private else 'public'})"
        self.parts.append(Part("repository", said, said, f"{login} may {'write' if found.may_push else 'read'}"))
        return found

    def _git_urls(self) -> dict[str, str]:
        return dict(git_remote.remote_urls(self.folder)) if git_remote.is_repository(self.folder) else {}

    def _git(self, at: Addresses, token: str, on_failure: Callable[[Callable[[], object]], None]) -> str:
        """The git remote and its credentials; the remote's name."""
        fresh = not git_remote.is_repository(self.folder)
        urls = self._git_urls()
        elsewhere = "origin" in urls and git_remote.slug_at(urls["origin"], at.host) is None
        name = REMOTE if elsewhere else "origin"
        before = urls.get(name, NOTHING)
        there = git_remote.slug_at(before, at.host)
        if there is not None and there.lower() != at.slug.lower() and not self.request.force:
            raise ConfigError(
                f"git remote {name} points to {there}, not to {at.slug}.",
                hint=f"--repo {there} keeps it, --force changes it",
            )
        if name == REMOTE and before != NOTHING and there is None and not self.request.force:
            raise ConfigError(
                f"git remote {name} points to {git_remote.without_credentials(before)}.", hint="--force changes it"
            )
        shown = git_remote.without_secrets(before)
        if self.dry:
            self.parts.append(Part("git", shown, f"{name} {at.git}" if before != at.git else shown))
            return name
        if fresh:
            git_remote.run(self.folder, "init", "--quiet")
        if before != at.git:
            git_remote.set_remote(self.folder, name, at.git)
        if not git_remote.has_helper(self.folder, at.git):
            git_remote.use_file_helper(self.folder, at.git)
        if git_remote.stored_password(self.folder, at.git) != token:
            git_remote.store_credentials(self.folder, at.git, token)
            on_failure(lambda: git_remote.forget_credentials(self.folder, at.git, token))
        branches = git_remote.look(self.folder, name)
        after = f"{name} {at.git}"
        self.parts.append(
            Part("git", after if before == at.git else shown, after, f"git ls-remote: {branches} branches")
        )
        return name

    def _dvc_init(self) -> None:
        if not dvc_project.is_project(self.folder) and not self.dry:
            dvc_project.init_project(self.folder)

    def _dvc_remote(self, name: str, url: str, credentials: tuple[str, str] | None) -> None:
        there = dvc_project.remotes(self.folder) if dvc_project.is_project(self.folder) else ()
        before = next((f"{one.name} {one.url}" for one in there if one.is_default), NOTHING)
        same = next((one for one in there if one.name == name), None)
        if same is not None and same.url != url and not self.request.force:
            raise ConfigError(f"DVC remote {name} points to {same.address}.", hint="--force changes it")
        after = f"{name} {url}"
        if self.dry:
            self.parts.append(Part("dvc", git_remote.without_secrets(before), after))
            return
        if before != after:
            dvc_project.set_remote(self.folder, name, url)
        if credentials and (same is None or same.credentials != credentials):
            dvc_project.set_secret(self.folder, name, user=credentials[0], password=credentials[1])
        remote = dvc_project.default_remote(self.folder)
        if self.request.read_only:
            dvc_probe.check_access(remote)
            self.parts.append(Part("dvc", git_remote.without_secrets(before), after, "it lets us read"))
            return
        try:
            dvc_transfer.prove(self.folder, remote)
        except CryptomlError:
            dvc_probe.check_access(remote)
            raise
        self.parts.append(
            Part("dvc", git_remote.without_secrets(before), after, "a small file went there and came back")
        )

    def _ignore(self) -> None:
        """Files with secrets, and what is made here, stay out of git."""
        if not git_remote.is_repository(self.folder):
            return
        missing = notes.missing_ignores(self.folder)
        if missing and not self.dry:
            notes.add_ignores(self.folder, missing)
        if missing:
            self.parts.append(Part(".gitignore", NOTHING, ", ".join(missing), "" if self.dry else "git check-ignore"))

    def _env(self, at: Addresses, login: str, token: str) -> None:
        path = self.folder / ".env"
        values = {
            "DAGSHUB_USERNAME": login,
            "DAGSHUB_TOKEN": token,
            "DAGSHUB_REPO": at.slug,
            "MLFLOW_TRACKING_URI": at.mlflow,
            "MLFLOW_TRACKING_USERNAME": login,
            "MLFLOW_TRACKING_PASSWORD": token,
        }
        # A host that is in the file already must not stay beside a token that is not meant for it.
        if at.host != DEFAULT_HOST or "DAGSHUB_CLIENT_HOST" in read_dotenv(self.folder):
            values["DAGSHUB_CLIENT_HOST"] = at.host
        old = env_file.read_text(path)
        changes = env_file.changed_text(old, values) != old
        state = ("there" if path.exists() else NOTHING) if changes else "DAGSHUB_* and MLFLOW_TRACKING_*"
        after = "DAGSHUB_* and MLFLOW_TRACKING_*"
        if not self.dry:
            env_file.write_variables(path, values)
        self.parts.append(Part(".env", state, after, "" if self.dry else "mode 0600, ignored by git"))

    def _mlflow_proof(self, settings: Settings) -> None:
        from cryptoml.tracking.round_trip import prove
        from cryptoml.tracking.store.project_store import INSPECT, TRAIN, open_project_store

        before = git_remote.without_secrets(self.request.settings.mlflow_uri())
        after = settings.mlflow_uri()
        if self.dry:
            self.parts.append(Part("mlflow", before, after))
            return
        with open_project_store(
            settings, INSPECT if self.request.read_only else TRAIN, on_event=self.on_event
        ) as store:
            if self.request.read_only:
                store.find_experiment_id(settings.experiment_name)
                self.parts.append(Part("mlflow", before, after, "experiments can be read"))
                return
            done = prove(store)
        self.parts.append(
            Part(
                "mlflow",
                before,
                after,
                f"a run and {done.size // 1024} KiB went there and back in {done.seconds:.1f} s",
            )
        )

    def _push(self, remote: str) -> None:
        current = git_remote.run(self.folder, "symbolic-ref", "--short", "HEAD").strip()
        if git.current_commit(self.folder) is None:
            self.notes.append("nothing is pushed: there is no commit yet")
            return
        pushed = []
        for branch in (current, *(one for one in self.request.branches if one != current)):
            if git.ask(self.folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is None:
                git_remote.run(self.folder, "branch", branch, current)
            git_remote.push(self.folder, remote, branch, branch, track=branch == current)
            pushed.append(branch)
        self.parts.append(Part("push", NOTHING, ", ".join(pushed), f"git push {remote}"))
