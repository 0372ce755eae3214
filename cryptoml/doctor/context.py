"""What the checks look at: the project, its settings and where each comes from. Read once, secrets known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.errors import CryptomlError
from cryptoml.remotes import git_remote
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.settings import Settings, load_settings, read_dotenv
from cryptoml.system.project_folder import find_project

if TYPE_CHECKING:
    from cryptoml.remotes.dagshub import DagsHub
    from cryptoml.tracking.store.store import Store

SECRET_NAMES = re.compile(r"TOKEN|PASSWORD|SECRET|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)


@dataclass
class Context:
    """settings is None where they cannot be read; `settings_error` then says why."""

    folder: Path
    environ: Mapping[str, str]
    dotenv: Mapping[str, str | None]
    settings: Settings | None
    settings_error: CryptomlError | None = None
    timeout_s: float = 5.0
    _store: Store | None = field(default=None, repr=False)

    @cached_property
    def git_urls(self) -> Mapping[str, str]:
        """git's remotes; none where there is no repository."""
        try:
            return git_remote.remote_urls(self.folder) if git_remote.is_repository(self.folder) else {}
        except CryptomlError:
            return {}

    @cached_property
    def dvc_remote(self) -> dvc_project.DvcRemote | None:
        """DVC's default remote, or None."""
        try:
            return dvc_project.default_remote(self.folder)
        except CryptomlError:
            return None

    @property
    def config(self) -> Settings:
        """The settings, for checks that need them."""
        assert self.settings is not None
        return self.settings

    @cached_property
    def hub(self) -> DagsHub:
        """DagsHub's API with the settings' token; raises CryptomlError without one."""
        from cryptoml.errors import AccessError
        from cryptoml.remotes.dagshub import DagsHub

        token = self.config.dagshub_secret()
        if token is None:
            raise AccessError("no DagsHub token is known.", hint="put DAGSHUB_TOKEN into .env: cryptoml setup-remotes")
        return DagsHub(self.config.dagshub_host, token, timeout_s=self.timeout_s)

    def store(self) -> Store:
        """The tracking store, opened once."""
        if self._store is None:
            from cryptoml.tracking.store.project_store import INSPECT, open_project_store

            limited = self.config.model_copy(
                update={"store_timeout_s": min(self.timeout_s, self.config.store_timeout_s)}
            )
            self._store = open_project_store(limited, INSPECT, lock_wait_s=self.timeout_s)
        return self._store

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Every secret of the project that this process can see."""
        found: set[str] = set()
        for source in (self.environ, self.dotenv):
            found |= {text for name, text in source.items() if text and SECRET_NAMES.search(name)}
        if self.dvc_remote is not None and self.dvc_remote.password:
            found.add(self.dvc_remote.password)
        for url in self.git_urls.values():
            inside = re.match(r"\w+://([^/@]+)@", url)
            found |= set(inside[1].split(":")) if inside else set()
        return frozenset(text for text in found if len(text) > 3)

    def mask(self, text: str) -> str:
        """`text` without any of the secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return git_remote.without_secrets(text)

    def origin_of(self, name: str) -> str:
        """Where the value of a variable comes from."""
        if name in self.environ:
            return "environment"
        return ".env" if self.dotenv.get(name) else "default"

    def value_of(self, name: str) -> str | None:
        """The variable as it counts: the environment before .env."""
        return self.environ.get(name) or self.dotenv.get(name)


def read_context(*, cwd: Path | None = None, timeout_s: float = 5.0) -> Context:
    """Look at the project; settings that cannot be read are a finding, not an end."""
    settings: Settings | None = None
    failure: CryptomlError | None = None
    try:
        settings = load_settings(cwd=cwd)
        folder = settings.project_dir
    except CryptomlError as error:
        failure = error
        try:
            folder = find_project(environ=os.environ, cwd=cwd)
        except CryptomlError:
            folder = (cwd or Path.cwd()).resolve()
    try:
        dotenv = read_dotenv(folder)
    except (OSError, CryptomlError):
        dotenv = {}
    return Context(folder, dict(os.environ), dotenv, settings, failure, timeout_s)
