"""Reads the settings: an option of the command line > environment > `.env` of the project folder > default.

Values of `.env` count as written. In addresses and folders (PLACES) variables are replaced, but none that may be a
secret from elsewhere, so that no file can copy a token of the environment into an address.
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

# Settings in which ~, $NAME and ${NAME} are replaced.
PLACES = ("DAGSHUB_CLIENT_HOST", "MLFLOW_TRACKING_URI", "CRYPTOML_ARTIFACT_ROOT", "CRYPTOML_EXCHANGE_URL")


def load_settings(*, cwd: Path | None = None) -> Settings:
    """Read the settings; raises ConfigError naming each wrong variable, never its value."""
    folder = find_project(environ=os.environ, cwd=cwd)
    written = read_dotenv(folder)
    _refuse_unknown(folder, written)
    environ = expand_source(os.environ, PLACES)
    dotenv = expand_source(written, PLACES, environ=os.environ, overridden=environ)
    known = known_variables()
    try:
        found = Settings(**{name: text for name in known if (text := environ.get(name) or dotenv.get(name))})  # type: ignore[arg-type]  # texts are parsed by pydantic
    except ValidationError as error:
        words = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower().removeprefix('value error, ')}"
            for one in error.errors()
        ]
        raise ConfigError("; ".join(words) + ".", hint="correct it in the environment or in .env") from None
    settings = found.model_copy(update={"project_dir": folder})
    # MLflow's client reads these itself, from the environment only.
    others = {name for name in (BEARER, *SIGNERS) if environ.get(name, "false").lower() not in ("false", "0")}
    settings._origins = read_origins(environ, dotenv, {*known, *others}, trusted=environ.get(TRUST_VARIABLE, ""))
    return settings


def known_variables() -> dict[str, str]:
    """Every variable that `Settings` reads, with what it means, in order."""
    return {str(field.alias): field.description or "" for field in Settings.model_fields.values()}


def _refuse_unknown(folder: Path, written: Mapping[str, str | None]) -> None:
    known = list(known_variables())
    if written.get(TRUST_VARIABLE):
        raise ConfigError(
            f"{folder / '.env'}: {TRUST_VARIABLE} counts in the environment only: a clone cannot declare trust.",
            hint=f"remove the line, and give {TRUST_VARIABLE} to the process that runs cryptoml",
        )
    unknown = [name for name in written if name.startswith("CRYPTOML_") and "__" not in name and name not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see .env.example"
        raise ConfigError(f"{folder / '.env'}: there is no setting {', '.join(unknown)}.", hint=hint)


def read_dotenv(folder: Path) -> dict[str, str | None]:
    """The variables of `.env` in `folder`, or none when there is no such file."""
    return read_variables(folder / ".env")
