"""Loads the settings. Precedence: command-line option, environment, `.env` of the project folder, default.

Values in `.env` are literal, except that variables in URLs and folders (PLACES) are expanded. Variables that may be
secrets from another source are not, so that `.env` cannot copy a token of the environment into a URL.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from cryptoml.errors import ConfigError
from cryptoml.settings.schema import BEARER, SIGNERS, Settings
from cryptoml.system.dotenv_file import expand_source, read_variables
from cryptoml.system.hosts import TRUST_VARIABLE, read_origins
from cryptoml.system.project_folder import find_project

PREFIX = "CRYPTOML_"
# Settings in which ~, $NAME and ${NAME} are expanded.
PLACES = ("DAGSHUB_CLIENT_HOST", "MLFLOW_TRACKING_URI", "CRYPTOML_ARTIFACT_ROOT", "CRYPTOML_EXCHANGE_URL")


def load_settings(*, cwd: Path | None = None) -> Settings:
    """Load the settings; raises ConfigError with the name of each wrong variable, but not its value."""
    folder = find_project(environ=os.environ, cwd=cwd)
    written = read_dotenv(folder)
    _refuse_unknown(folder, written)
    environ = expand_source(os.environ, PLACES)
    dotenv = expand_source(written, PLACES, environ=os.environ, overridden=environ)
    known = known_variables()
    try:
        values = {name: text for name in known if (text := environ.get(name) or dotenv.get(name))}
        settings = Settings(**values)  # type: ignore[arg-type]  # pydantic parses the strings
    except ValidationError as error:
        messages = [
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg'].lower().removeprefix('value error, ')}"
            for detail in error.errors()
        ]
        raise ConfigError("; ".join(messages) + ".", hint="correct it in the environment or in .env") from None
    settings = settings.model_copy(update={"project_dir": folder})
    # MLflow's client reads these itself, from the environment only.
    mlflow_only = {name for name in (BEARER, *SIGNERS) if environ.get(name, "false").lower() not in ("false", "0")}
    settings._origins = read_origins(environ, dotenv, {*known, *mlflow_only}, trusted=environ.get(TRUST_VARIABLE, ""))
    return settings


def known_variables() -> dict[str, str]:
    """Return the variables that `Settings` reads, in order, with their descriptions."""
    return {str(field.alias): field.description or "" for field in Settings.model_fields.values()}


def nearest_variable(name: str) -> str:
    """Return the CRYPTOML_* variable that `name` is probably a misspelling of, or an empty string."""
    # The common prefix would make all names similar.
    endings = [known.removeprefix(PREFIX) for known in known_variables() if known.startswith(PREFIX)]
    near = get_close_matches(name.removeprefix(PREFIX), endings, n=1)
    return f"{PREFIX}{near[0]}" if near else ""


def _refuse_unknown(folder: Path, written: Mapping[str, str | None]) -> None:
    known = list(known_variables())
    if written.get(TRUST_VARIABLE):
        raise ConfigError(
            f"{folder / '.env'}: {TRUST_VARIABLE} is only read from the environment; a clone must not set it.",
            hint=f"remove the line and set {TRUST_VARIABLE} in the environment",
        )
    unknown = [name for name in written if name.startswith("CRYPTOML_") and "__" not in name and name not in known]
    if unknown:
        hint = f"did you mean {near}?" if (near := nearest_variable(unknown[0])) else "see .env.example"
        raise ConfigError(f"{folder / '.env'}: unknown setting {', '.join(unknown)}.", hint=hint)


def read_dotenv(folder: Path) -> dict[str, str | None]:
    """Return the variables in `.env` of `folder`; none if there is no such file."""
    return read_variables(folder / ".env")
