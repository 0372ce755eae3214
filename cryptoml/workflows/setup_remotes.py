"""Connects git, DVC and MLflow to a DagsHub repository, proves each, and takes everything back when one fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretStr

from cryptoml import events
from cryptoml.errors import AccessError, ConfigError, CryptomlError, UsageError
from cryptoml.remotes import dvc_probe, dvc_project, dvc_transfer, git, git_remote
from cryptoml.remotes.dagshub import Addresses, DagsHub, Repository
from cryptoml.remotes.http import check_secret_address
from cryptoml.settings import Settings
from cryptoml.workflows import env_file
from cryptoml.workflows.snapshot import Snapshot

REMOTE = "dagshub"
NOTHING = "-"
SHARED = (".dvc", ".dvcignore", ".gitignore")
IGNORED = (".env", ".env.bak", "/.cryptoml/", "/mlflow.db*", "/mlartifacts/", ".*.lock")


@dataclass(frozen=True)
class SetupRequest:
    """What to connect to. owner and repo: by default the settings', else those of a git remote at the host."""

    settings: Settings
    token: str | None = None
    owner: str | None = None
    repo: str | None = None
    create: bool = False
    private: bool = True
    push: bool = False
    branches: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False
    local: bool = False


@dataclass(frozen=True)
class Part:
    """One part of the set-up, what it was and is, and what proves that it works (empty in a dry run)."""

    name: str
    before: str
    after: str
    proof: str = ""

    @property
    def changed(self) -> bool:
        """Whether something had to be done."""
        return self.before != self.after


@dataclass(frozen=True)
class SetupResult:
    """All parts in order; notes are sentences about what else to know."""

    target: str
    dry_run: bool
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any part was, or would be, changed."""
        return any(part.changed for part in self.parts)

    def to_dict(self) -> dict[str, object]:
        """The result as JSON has it."""
        return {
            "schema": "cryptoml.setup-remotes/1",
            "target": self.target,
            "dry_run": self.dry_run,
            "changed": self.changed,
            "parts": [{**vars(part), "changed": part.changed} for part in self.parts],
            "notes": list(self.notes),
        }


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
        with Snapshot(self.folder, enabled=not self.dry):
            self._dvc_init()
            self._dvc_remote(dvc_project.LOCAL_REMOTE, str(self.folder / dvc_project.LOCAL_STORE), None)
            self._ignore()
            self._mlflow_proof(self.request.settings)
        self._tell_uncommitted()
        return SetupResult("this machine", self.dry, tuple(self.parts), tuple(self.notes))

    def dagshub(self) -> SetupResult:
        """Everything at DagsHub."""
        settings = self.request.settings
        host = settings.dagshub_host.rstrip("/")
        secret = self.request.token or (settings.dagshub_token.get_secret_value() if settings.dagshub_token else "")
        if not secret:
            raise AccessError(
                "no DagsHub token is known.", mend="set DAGSHUB_TOKEN, or write it into .env, or run this on a terminal"
            )
        check_secret_address(host)
        hub = DagsHub(host, secret)
        login = hub.login()
        slug = self._slug(login, host)
        repository = self._repository(hub, slug, login)
        at = Addresses(host, repository.slug if repository else slug)
        connected = settings.model_copy(
            update={
                "dagshub_username": login,
                "dagshub_token": SecretStr(secret),
                "dagshub_repo": at.slug,
                "tracking_uri": at.mlflow,
                "tracking_username": login,
                "tracking_password": SecretStr(secret),
            }
        )
        with Snapshot(self.folder, enabled=not self.dry) as snapshot:
            name = self._git(at, secret, snapshot.on_failure)
            self._dvc_init()
            self._dvc_remote(REMOTE, at.dvc, (login, secret))
            self._ignore()
            self._env(at, login, secret)
            if repository is not None:
                self._mlflow_proof(connected)
        if self.request.push and not self.dry:
            self._push(name)
        self._warn_about_environment(at)
        self._tell_uncommitted()
        return SetupResult(at.page, self.dry, tuple(self.parts), tuple(self.notes))

    def _slug(self, login: str, host: str) -> str:
        settings, asked = self.request.settings, self.request
        known = settings.dagshub_repo or ""
        if not known:
            slugs = [git_remote.slug_at(url, host) for url in self._git_urls().values()]
            known = next((slug for slug in slugs if slug), "")
        known_owner, _, known_name = known.rpartition("/")
        name, owner = asked.repo or known_name, asked.owner
        if "/" in name:
            owner, _, name = name.rpartition("/")
        if not name:
            raise UsageError("which repository is not known.", mend="name it: cryptoml setup-remotes --repo my-coins")
        return f"{owner or (known_owner if not asked.repo else '') or login}/{name}"

    def _repository(self, hub: DagsHub, slug: str, login: str) -> Repository | None:
        found = hub.find_repository(slug)
        if found is None:
            if not self.request.create:
                raise UsageError(
                    f"{slug}: there is no such repository, or {login} may not see it.",
                    mend="correct --owner and --repo, or add --create to make it (private)",
                )
            kind = "private" if self.request.private else "public"
            if not self.dry:
                found = hub.create_repository(slug, private=self.request.private, login=login)
                self.on_event(events.Info(f"created {slug} ({kind})"))
            self.parts.append(Part("repository", NOTHING, f"{slug} ({kind})", "" if self.dry else "created"))
            return found
        if not found.may_push:
            raise AccessError(f"{slug}: {login} may read it but not write.", mend="ask its owner for write permission")
        said = f"{found.slug} ({'private' if found.private else 'public'})"
        self.parts.append(Part("repository", said, said, f"{login} may write"))
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
                mend=f"--repo {there} keeps it, --force changes it",
            )
        if name == REMOTE and before != NOTHING and there is None and not self.request.force:
            raise ConfigError(
                f"git remote {name} points to {git_remote.without_credentials(before)}.", mend="--force changes it"
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
            raise ConfigError(f"DVC remote {name} points to {same.url}.", mend="--force changes it")
        after = f"{name} {url}"
        if self.dry:
            self.parts.append(Part("dvc", git_remote.without_secrets(before), after))
            return
        if before != after:
            dvc_project.set_remote(self.folder, name, url)
        if credentials and (same is None or same.credentials != credentials):
            dvc_project.set_secret(self.folder, name, user=credentials[0], password=credentials[1])
        remote = dvc_project.default_remote(self.folder)
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
        if git.ask(self.folder, "ls-files", "--error-unmatch", ".env") is not None:
            raise ConfigError(
                f"{self.folder / '.env'}: is tracked by git, and a token in it would be published.",
                mend="git rm --cached .env, then commit; make a new token if one was in it",
            )
        missing = [line for line in IGNORED if git.ask(self.folder, "check-ignore", "-q", _example(line)) is None]
        if missing and not self.dry:
            path = self.folder / ".gitignore"
            text = env_file.read_text(path)
            path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + "\n".join(missing) + "\n")
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
        if at.host != Settings.model_fields["dagshub_host"].default:
            values["DAGSHUB_CLIENT_HOST"] = at.host
        old = env_file.read_text(path)
        changes = env_file.changed_text(old, values) != old
        state = ("there" if path.exists() else NOTHING) if changes else "DAGSHUB_* and MLFLOW_TRACKING_*"
        after = "DAGSHUB_* and MLFLOW_TRACKING_*"
        if not self.dry:
            env_file.write_variables(path, values)
        self.parts.append(Part(".env", state, after, "" if self.dry else "mode 0600, ignored by git"))

    def _mlflow_proof(self, settings: Settings) -> None:
        from cryptoml.tracking.prove import prove
        from cryptoml.workflows.opening import open_project_store

        before = git_remote.without_secrets(self.request.settings.mlflow_uri())
        after = settings.mlflow_uri()
        if self.dry:
            self.parts.append(Part("mlflow", before, after))
            return
        with open_project_store(settings, on_event=self.on_event) as store:
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

    def _tell_uncommitted(self) -> None:
        """A clone knows the DVC remote and what to ignore only once they are committed."""
        shared = [name for name in SHARED if (self.folder / name).exists()]
        if not self.dry and shared and git.ask(self.folder, "status", "--porcelain", "--", *shared):
            self.notes.append(
                f'a clone has this once it is committed: git add {" ".join(shared)} && git commit -m "Set up DVC"'
            )

    def _warn_about_environment(self, at: Addresses) -> None:
        wanted = {"MLFLOW_TRACKING_URI": at.mlflow, "DAGSHUB_REPO": at.slug}
        for name, value in wanted.items():
            found = os.environ.get(name)
            if found and found != value:
                self.notes.append(
                    f"{name} in the environment is {git_remote.without_secrets(found)} and wins over .env: unset {name}"
                )


def _example(line: str) -> str:
    """A path that the line of .gitignore is about; git asks for one inside a folder."""
    name = line.strip("/").replace("*", "")
    return f"{name}/x" if line.endswith("/") else name
