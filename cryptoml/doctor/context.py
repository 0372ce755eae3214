"""The context of the checks: the project, its settings with their sources, and its secrets; read once."""

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
    """The project to check. settings: None if invalid; settings_error is the reason."""

    folder: Path
    environ: Mapping[str, str]
    dotenv: Mapping[str, str | None]
    settings: Settings | None
    settings_error: CryptomlError | None = None
    timeout_s: float = 5.0
    _store: Store | None = field(default=None, repr=False)

    @cached_property
    def git_urls(self) -> Mapping[str, str]:
        """URLs of the git remotes by name; empty without a repository."""
        try:
            return git_remote.remote_urls(self.folder) if git_remote.is_repository(self.folder) else {}
        except CryptomlError:
            return {}

    @cached_property
    def dvc_remote(self) -> dvc_project.DvcRemote | None:
        """The default DVC remote; None without one."""
        try:
            return dvc_project.default_remote(self.folder)
        except CryptomlError:
            return None

    @property
    def config(self) -> Settings:
        """The settings; only for checks that need the check "settings"."""
        assert self.settings is not None
        return self.settings

    @cached_property
    def hub(self) -> DagsHub:
        """A DagsHub client with the token of the settings; raises AccessError without a token."""
        from cryptoml.errors import AccessError
        from cryptoml.remotes.dagshub import DagsHub

        token = self.config.dagshub_secret()
        if token is None:
            raise AccessError("DAGSHUB_TOKEN is not set.", hint="put it into .env: cryptoml setup-remotes")
        return DagsHub(self.config.dagshub_host, token, timeout_s=self.timeout_s)

    def store(self) -> Store:
        """Return the tracking store, opened on first use."""
        if self._store is None:
            from cryptoml.tracking.store.project_store import INSPECT, open_project_store

            limited = self.config.model_copy(
                update={"store_timeout_s": min(self.timeout_s, self.config.store_timeout_s)}
            )
            self._store = open_project_store(limited, INSPECT, lock_wait_s=self.timeout_s)
        return self._store

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    @cached_property
    def secrets(self) -> frozenset[str]:
        """All secrets in the environment, `.env`, the DVC config and git URLs, for masking."""
        values: set[str] = set()
        for source in (self.environ, self.dotenv):
            values |= {text for name, text in source.items() if text and SECRET_NAMES.search(name)}
        if self.dvc_remote is not None and self.dvc_remote.password:
            values.add(self.dvc_remote.password)
        for url in self.git_urls.values():
            login = re.match(r"\w+://([^/@]+)@", url)
            values |= set(login[1].split(":")) if login else set()
        return frozenset(value for value in values if len(value) > 3)

    def mask(self, text: str) -> str:
        """Return `text` with all secrets masked."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return git_remote.without_secrets(text)

    def origin_of(self, name: str) -> str:
        """Return the source of a variable's value: environment, .env or default."""
        if name in self.environ:
            return "environment"
        return ".env" if self.dotenv.get(name) else "default"

    def value_of(self, name: str) -> str | None:
        """Return the value of a variable; the environment takes precedence over .env."""
        return self.environ.get(name) or self.dotenv.get(name)


def read_context(*, cwd: Path | None = None, timeout_s: float = 5.0) -> Context:
    """Read the project; invalid settings are stored as `settings_error`, not raised."""
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
