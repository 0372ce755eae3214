"""The settings: tokens, URLs and folders. See `cryptoml.config` for the config of a training."""

import json
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cryptoml.errors import AccessError, ConfigError
from cryptoml.system import clones
from cryptoml.system.hosts import DEFAULT_HOST, DOTENV, ENVIRONMENT, Origins, check_host, normalize_address
from cryptoml.system.names import check_experiment_name

LOOPBACK = ("localhost", "127.0.0.1", "::1")
BEARER = "MLFLOW_TRACKING_TOKEN"
# If one of these is set, MLflow's client adds its own credentials to each request.
SIGNERS = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")
MLFLOW_CREDENTIALS_FILE = Path("~/.mlflow/credentials")
LOCAL_STORE = "sqlite:///mlflow.db"
Address = Annotated[str, AfterValidator(normalize_address)]
ExperimentName = Annotated[str, AfterValidator(check_experiment_name)]


class Settings(BaseSettings):
    """The settings; secrets are SecretStr and are printed as asterisks."""

    model_config = SettingsConfigDict(
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
    dagshub_host: Address = Field(
        DEFAULT_HOST,
        alias="DAGSHUB_CLIENT_HOST",
        description="URL of DagsHub, for self-hosted servers and tests",
    )
    tracking_uri: Address | None = Field(
        None,
        alias="MLFLOW_TRACKING_URI",
        # The URL of a database may contain a password.
        repr=False,
        description="MLflow store; default: DagsHub's if its three values are set, else mlflow.db in this folder",
    )
    tracking_username: str | None = Field(
        None, alias="MLFLOW_TRACKING_USERNAME", description="user name at the MLflow store"
    )
    tracking_password: SecretStr | None = Field(
        None, alias="MLFLOW_TRACKING_PASSWORD", description="password or token at the MLflow store"
    )
    source_username: str | None = Field(
        None, alias="CRYPTOML_SOURCE_USERNAME", description="user name at the source server of cryptoml sync --from"
    )
    source_password: SecretStr | None = Field(
        None,
        alias="CRYPTOML_SOURCE_PASSWORD",
        description="password or token at the source server of cryptoml sync --from",
    )
    experiment_name: ExperimentName = Field(
        "crypto-price-prediction", alias="MLFLOW_EXPERIMENT_NAME", description="MLflow experiment"
    )
    artifact_root: str | None = Field(
        None,
        alias="CRYPTOML_ARTIFACT_ROOT",
        description="folder or bucket (s3://bucket/folder) for the artifacts of new experiments in a database store",
    )
    project_dir: Path = Field(
        Path(),
        alias="CRYPTOML_PROJECT_DIR",
        description="project folder; default: the nearest parent folder with .cryptoml, .dvc or .git",
    )
    author: str | None = Field(
        None, alias="CRYPTOML_AUTHOR", description="author of runs; default: git's user.name, else the login name"
    )
    run_tags: dict[str, str] = Field(
        default_factory=dict,
        alias="CRYPTOML_RUN_TAGS",
        description='more tags of runs, as JSON, such as {"team": "quant"}',
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=256,
        alias="CRYPTOML_WORKERS",
        description="number of parallel fits; default: one per core",
    )
    engine: Literal["local", "dask"] = Field(
        "local", alias="CRYPTOML_ENGINE", description="where fits run: local, or dask for the workers of a cluster"
    )
    dask_address: str = Field(
        "", alias="CRYPTOML_DASK_ADDRESS", description="address of the Dask scheduler, such as tcp://host:8786"
    )
    store_timeout_s: float = Field(
        5.0,
        gt=0,
        le=600,
        alias="CRYPTOML_STORE_TIMEOUT_S",
        description="timeout for the MLflow store, in seconds",
    )
    exchange_url: str | None = Field(
        None,
        alias="CRYPTOML_EXCHANGE_URL",
        description="another URL for the API of the exchange: https, or http on loopback",
    )
    trusted_hosts: str | None = Field(
        None,
        alias="CRYPTOML_TRUSTED_HOSTS",
        description="hosts that may receive any secret: HOST[:PORT], comma-separated; not read from .env",
    )
    _origins: Origins | None = PrivateAttr(None)

    @field_validator("exchange_url")
    @classmethod
    def _safe_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or parts.username or parts.path.strip("/") or not (parts.scheme == "https" or local):
            raise ValueError("must be https://HOST[:PORT], or http:// on loopback")
        return url

    @field_validator("run_tags", mode="before")
    @classmethod
    def _tags_of_json(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        try:
            found = json.loads(given)
        except ValueError:
            found = None
        if not isinstance(found, dict) or any(not isinstance(value, str) for value in found.values()):
            raise ValueError('must be a JSON object of texts, such as {"team": "quant"}')
        return found

    def mlflow_uri(self) -> str:
        """Return the URI of the MLflow store: as configured, DagsHub's, or SQLite in the project folder."""
        if self.tracking_uri:
            return self._absolute(self.tracking_uri)
        if self.dagshub_repo and self.dagshub_token and (self.dagshub_username or "/" in self.dagshub_repo):
            return f"{self.dagshub_host.rstrip('/')}/{self.dagshub_slug()}.mlflow"
        return f"sqlite:///{self.project_dir / 'mlflow.db'}"

    def mlflow_credentials(self) -> tuple[str, str] | None:
        """Return user name and password for the MLflow store; None if no password is set.

        DagsHub's token is only sent to DagsHub. Raises AccessError if a secret, including the bearer token and MLflow's
        credentials file, would be sent to a host that is configured in another place than the secret.
        """
        uri = self.mlflow_uri()
        if not uri.startswith(("http://", "https://")):
            return None
        for name in SIGNERS:
            if name in self.origins.places:
                self._check_tracking(name)
        if self.tracking_password is not None:
            self._check_tracking("MLFLOW_TRACKING_PASSWORD")
            password = self.tracking_password.get_secret_value()
        elif self.store_is_dagshub() and self.dagshub_token is not None:
            password = self.dagshub_secret() or ""
        else:
            self._check_secrets_of_mlflow()
            return None
        if self.tracking_username is not None:
            self._check_tracking("MLFLOW_TRACKING_USERNAME")
        return self.tracking_username or self.dagshub_username or password, password

    def dagshub_secret(self) -> str | None:
        """Return DagsHub's token; raises AccessError if DagsHub's host is configured in another place."""
        if self.dagshub_token is None:
            return None
        self.check_dagshub_host("DAGSHUB_TOKEN")
        return self.dagshub_token.get_secret_value()

    def check_dagshub_host(self, secret: str, *, places: frozenset[str] | None = None) -> None:
        """Raise AccessError unless the secret may be sent to DagsHub's host; `places`: where the secret is set."""
        if self._origins is not None:
            check_host(
                self.dagshub_host,
                secret=secret,
                places=self._origins.of(secret) if places is None else places,
                named_by=self._source_of("DAGSHUB_CLIENT_HOST"),
                origins=self._origins,
                hint="to use this host and write it to .env with the token: cryptoml setup-remotes --trust-host",
            )

    def trusting(self, *addresses: str) -> "Settings":
        """Return a copy in which the hosts of these URLs may receive any secret."""
        copy = self.model_copy()
        copy._origins = None if self._origins is None else self._origins.trusting(*addresses)
        return copy

    @property
    def origins(self) -> Origins:
        """The sources of the values; empty unless `load_settings` read them."""
        return self._origins or Origins()

    def check_connected(self) -> None:
        """Raise AccessError if a clone refers to DagsHub without credentials, instead of creating a local store."""
        default = f"sqlite:///{self.project_dir / 'mlflow.db'}"
        if self.tracking_uri or self.mlflow_uri() != default or (self.project_dir / "mlflow.db").exists():
            return
        named = "DAGSHUB_REPO" if self.dagshub_repo else None
        if named is None and DOTENV in self.origins.of("DAGSHUB_USERNAME"):
            named = "DAGSHUB_USERNAME in .env"
        named = named or clones.dagshub_remote(self.project_dir, self.dagshub_host)
        if named is not None:
            raise AccessError(
                f"{self.project_dir}: {named} refers to DagsHub, but its credentials are incomplete. "
                "No local store was created instead.",
                hint=f"cryptoml setup-remotes; or, to work locally, add MLFLOW_TRACKING_URI={LOCAL_STORE} to .env",
            )

    def _check_tracking(self, secret: str, *, places: frozenset[str] | None = None) -> None:
        if self._origins is not None:
            check_host(
                self.mlflow_uri(),
                secret=secret,
                places=self._origins.of(secret) if places is None else places,
                named_by=self._source_of("MLFLOW_TRACKING_URI" if self.tracking_uri else "DAGSHUB_CLIENT_HOST"),
                origins=self._origins,
                hint="set the URL and the secret in the same place, both in .env or both in the environment",
            )

    def _check_secrets_of_mlflow(self) -> None:
        """Check the credentials that MLflow's client uses if it is given none."""
        if BEARER in self.origins.places:
            self._check_tracking(BEARER)
        elif MLFLOW_CREDENTIALS_FILE.expanduser().is_file():
            self._check_tracking(str(MLFLOW_CREDENTIALS_FILE), places=frozenset({ENVIRONMENT}))

    def _source_of(self, variable: str) -> str:
        places = self.origins.of(variable)
        return f"{variable} in {' and '.join(sorted(places))}" if places else f"the default of {variable}"

    def store_is_dagshub(self) -> bool:
        """Return whether the MLflow store is on DagsHub's host."""
        return self.mlflow_uri().startswith(f"{self.dagshub_host.rstrip('/')}/")

    def dagshub_slug(self) -> str:
        """Return the repository as owner/name; raises ConfigError if the owner is unknown."""
        repo = (self.dagshub_repo or "").strip("/")
        if "/" in repo:
            return repo
        if not repo or not self.dagshub_username:
            raise ConfigError("DAGSHUB_REPO and DAGSHUB_USERNAME are required.", hint="set them in .env")
        return f"{self.dagshub_username}/{repo}"

    def _absolute(self, uri: str) -> str:
        if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
            return f"sqlite:///{self.project_dir / uri.removeprefix('sqlite:///')}"
        # A URL copied from the browser contains the current page: http://host:5000/#/experiments/1.
        return uri.partition("/#")[0] if uri.startswith(("http://", "https://")) else uri
