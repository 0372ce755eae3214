"""Who and where: tokens, addresses, folders. What to do is `config.py`.

An option of the command line > environment > `.env` of the project folder > default. Built once, at the edge.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cryptoml.errors import ConfigError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROJECT_MARKS = (".cryptoml", ".dvc", ".git")


class Settings(BaseSettings):
    """The settings; secrets are SecretStr and print as stars."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )

    dagshub_username: str | None = Field(None, alias="DAGSHUB_USERNAME", description="your DagsHub user name")
    dagshub_token: SecretStr | None = Field(None, alias="DAGSHUB_TOKEN", description="a DagsHub access token")
    dagshub_repo: str | None = Field(
        None, alias="DAGSHUB_REPO", description="the DagsHub repository: name, or owner/name"
    )
    dagshub_host: str = Field(
        "https://dagshub.com",
        alias="DAGSHUB_CLIENT_HOST",
        description="where DagsHub is; for tests and proxies",
    )
    tracking_uri: str | None = Field(
        None,
        alias="MLFLOW_TRACKING_URI",
        description="MLflow store; by default DagsHub's when its three values are set, else mlflow.db here",
    )
    tracking_username: str | None = Field(None, alias="MLFLOW_TRACKING_USERNAME", description="user at that store")
    tracking_password: SecretStr | None = Field(
        None, alias="MLFLOW_TRACKING_PASSWORD", description="password or token at that store"
    )
    source_username: str | None = Field(
        None, alias="CRYPTOML_SOURCE_USERNAME", description="user at the server of cryptoml sync --from"
    )
    source_password: SecretStr | None = Field(
        None, alias="CRYPTOML_SOURCE_PASSWORD", description="password or token at the server of cryptoml sync --from"
    )
    experiment_name: str = Field(
        "crypto-price-prediction", alias="MLFLOW_EXPERIMENT_NAME", description="MLflow experiment"
    )
    project_dir: Path = Field(
        Path(),
        alias="CRYPTOML_PROJECT_DIR",
        description="project folder; by default the nearest one above with .cryptoml, .dvc or .git",
    )
    author: str | None = Field(None, alias="CRYPTOML_AUTHOR", description="name in runs; else git's, else the login")
    workers: int | None = Field(
        None,
        ge=1,
        le=256,
        alias="CRYPTOML_WORKERS",
        description="fits that run side by side; else one a core",
    )
    store_timeout_s: float = Field(
        5.0,
        gt=0,
        le=600,
        alias="CRYPTOML_STORE_TIMEOUT_S",
        description="how long a silent store is waited for",
    )
    exchange_url: str | None = Field(
        None,
        alias="CRYPTOML_EXCHANGE_URL",
        description="another address for the exchange's interface: https, or http on this machine",
    )

    @field_validator("exchange_url")
    @classmethod
    def _safe_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or parts.username or parts.path.strip("/") or not (parts.scheme == "https" or local):
            raise ValueError("must be https://HOST[:PORT], or http:// on this machine")
        return url

    def mlflow_uri(self) -> str:
        """The MLflow store in use: the one named, DagsHub's, or SQLite in the project folder (absolute)."""
        if self.tracking_uri:
            return self._absolute(self.tracking_uri)
        if self.dagshub_repo and self.dagshub_token and (self.dagshub_username or "/" in self.dagshub_repo):
            return f"{self.dagshub_host.rstrip('/')}/{self.dagshub_slug()}.mlflow"
        return f"sqlite:///{self.project_dir / 'mlflow.db'}"

    def mlflow_credentials(self) -> tuple[str, str] | None:
        """User and password for the MLflow store; both or none, as its client sends them only together.

        DagsHub's token is for DagsHub alone: another host never gets to see it.
        """
        password = self.tracking_password or (self.dagshub_token if self.store_is_dagshub() else None)
        if password is None:
            return None
        user = self.tracking_username or self.dagshub_username or password.get_secret_value()
        return user, password.get_secret_value()

    def store_is_dagshub(self) -> bool:
        """Whether the MLflow store in use is at DagsHub's host."""
        return self.mlflow_uri().startswith(f"{self.dagshub_host.rstrip('/')}/")

    def dagshub_slug(self) -> str:
        """The repository as owner/name; raises ConfigError when the owner is not known."""
        repo = (self.dagshub_repo or "").strip("/")
        if "/" in repo:
            return repo
        if not repo or not self.dagshub_username:
            raise ConfigError("DAGSHUB_REPO and DAGSHUB_USERNAME are needed.", mend="set them in .env")
        return f"{self.dagshub_username}/{repo}"

    def _absolute(self, uri: str) -> str:
        if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
            return f"sqlite:///{self.project_dir / uri.removeprefix('sqlite:///')}"
        return uri


def load_settings(*, cwd: Path | None = None) -> Settings:
    """Read the settings; raises ConfigError naming each wrong variable, never its value."""
    folder = find_project(environ=os.environ, cwd=cwd)
    _refuse_unknown(folder)
    try:
        found = Settings(_env_file=folder / ".env")
    except ValidationError as error:
        words = [f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()]
        raise ConfigError("; ".join(words) + ".", mend="correct it in the environment or in .env") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder / '.env'}: cannot be read: {error}.") from None
    return found.model_copy(update={"project_dir": folder})


def known_variables() -> dict[str, str]:
    """Every variable that `Settings` reads, with what it means, in order."""
    return {str(field.alias): field.description or "" for field in Settings.model_fields.values()}


def _refuse_unknown(folder: Path) -> None:
    known = list(known_variables())
    unknown = [
        name for name in read_dotenv(folder) if name.startswith("CRYPTOML_") and "__" not in name and name not in known
    ]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see .env.example"
        raise ConfigError(f"{folder / '.env'}: there is no setting {', '.join(unknown)}.", mend=hint)


def find_project(*, environ: Mapping[str, str], cwd: Path | None = None) -> Path:
    """The project folder, absolute: CRYPTOML_PROJECT_DIR, else the nearest marked one, else `cwd`."""
    named = environ.get("CRYPTOML_PROJECT_DIR")
    if named:
        folder = Path(named).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigError(f"CRYPTOML_PROJECT_DIR: {folder} is not a folder.")
        return folder
    here = (cwd or Path.cwd()).resolve()
    home = Path.home().resolve()
    for folder in (here, *here.parents):
        # A marked home folder (dotfiles under git) is not the project of everything below it.
        if (folder != home or folder == here) and any((folder / mark).exists() for mark in PROJECT_MARKS):
            return folder
    return here


def read_dotenv(folder: Path) -> dict[str, str | None]:
    """The variables of `.env` in `folder`, or none when there is no such file."""
    from dotenv import dotenv_values

    path = folder / ".env"
    return dict(dotenv_values(path, interpolate=False)) if path.is_file() else {}
