"""Loads the config: merges its layers and checks every key.

`--set a.b=c` > `CRYPTOML_A__B` (environment, then `.env`) > YAML > default. All errors are reported at once,
each with its key and source.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cryptoml.config.parameters import Configurable, parameter_errors, suggestion
from cryptoml.config.schema import Config
from cryptoml.errors import ConfigError

ENV_PREFIX = "CRYPTOML_"
# Larger files are no config; reading them could exhaust the memory.
MAX_CHARACTERS = 1_000_000
OTHER_FILE = "choose another file with --config"

Models = Mapping[str, Configurable]


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config; origins: the source of each key that was set."""

    config: Config
    origins: Mapping[str, str]

    def resolved(self) -> dict[str, Any]:
        """Return all keys with their values, including defaults, as plain JSON types."""
        tree: dict[str, Any] = self.config.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return the first 12 hex digits of the SHA-256 of the resolved config."""
        text = json.dumps(self.resolved(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def load_config(
    path: Path | None,
    *,
    models: Models,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    dotenv: Mapping[str, str | None] | None = None,
) -> LoadedConfig:
    """Merge the layers and check them.

    The config contains all parameters of all models and the names of the models to train. Raises ConfigError with
    each wrong key and its source.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    errors: list[str] = []
    for origin, key, value in [
        *_from_yaml(path),
        *_from_environment(dotenv or {}, ".env"),
        *_from_environment(environ or {}, "environment"),
        *_from_overrides(overrides, errors),
    ]:
        if _set_key(merged, key, value):
            origins[key] = origin
        else:
            errors.append(f"{origin}: {key}: must be a section, or a key of a section")
    given = merged.pop("models", {})
    errors += _check_models(given, models, origins)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        errors += [_error_line(detail, origins) for detail in error.errors()]
    if errors:
        raise ConfigError(
            errors[0] if len(errors) == 1 else "\n".join(["the config has errors:", *errors]),
            hint="correct the key; docs/config.md lists all of them",
        )
    return LoadedConfig(_completed(config, given, models), origins)


def _completed(config: Config, given: Mapping[str, Mapping[str, Any]], models: Models) -> Config:
    """Return the config with the defaults that depend on the available models."""
    names = config.training.models or tuple(name for name, model in models.items() if not model.is_baseline)
    # A given value is kept as written: 500 is not 500.0 in logged parameters and in the hash.
    params = {name: model.parameters().model_dump() | dict(given.get(name, {})) for name, model in models.items()}
    training = config.training.model_copy(update={"models": names})
    return config.model_copy(update={"training": training, "models": params})


def _from_yaml(path: Path | None) -> list[tuple[str, str, Any]]:
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
        if len(text) > MAX_CHARACTERS:
            raise ConfigError(f"{path}: has more than {MAX_CHARACTERS:,} characters.", hint=OTHER_FILE)
        tree = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: the config file does not exist.", hint=OTHER_FILE) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text.", hint=f"save it as UTF-8, or {OTHER_FILE}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.", hint=OTHER_FILE) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{line}: invalid YAML: {getattr(error, 'problem', None) or error}.",
            hint="correct it, or begin with the configs/default.yaml of the repository",
        ) from error
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: must be a mapping of sections.", hint="see configs/default.yaml")
    return [(str(path), key, value) for key, value in _leaves(tree)]


def _leaves(tree: dict[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            leaves += _leaves(value, f"{name}.")
        elif value is not None or prefix:
            leaves.append((name, value))
    return leaves


def _from_environment(variables: Mapping[str, str | None], origin: str) -> list[tuple[str, str, Any]]:
    entries = []
    for name, text in sorted(variables.items()):
        if name.startswith(ENV_PREFIX) and "__" in name and text is not None:
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            entries.append((f"{origin}, {name}", key, _parse_scalar(text)))
    return entries


def _from_overrides(overrides: Sequence[str], errors: list[str]) -> list[tuple[str, str, Any]]:
    entries = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            errors.append(f"--set {override}: must have the form section.key=value")
            continue
        entries.append((f"--set {override}", key.strip().lower(), _parse_scalar(value)))
    return entries


def _parse_scalar(text: str) -> Any:
    if "," in text and not text.lstrip().startswith(("[", "{", '"', "'")):
        text = f"[{text}]"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):
        # YAML 1.1 parses 1e-4 as a string.
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _set_key(tree: dict[str, Any], key: str, value: Any) -> bool:
    """Set a dotted key in a nested dict; return False if a section and a value have the same key."""
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            return False
    if isinstance(tree.get(last), dict):
        return False
    tree[last] = value
    return True


def _check_models(given: Any, models: Models, origins: Mapping[str, str]) -> list[str]:
    if not isinstance(given, dict):
        return [f"{origins.get('models', 'config')}: models: must be a mapping from model to parameters"]
    errors = []
    for name, values in given.items():
        key = f"models.{name}"
        if name not in models:
            errors.append(f"{_origin(key, origins)}: {key}: unknown model{suggestion(name, models)}")
        elif not isinstance(values, dict):
            errors.append(f"{origins.get(key, 'config')}: {key}: must be a mapping of parameters")
        else:
            for param, message in parameter_errors(models[name].parameters, values).items():
                param_key = f"{key}.{param}" if param else key
                errors.append(f"{_origin(param_key, origins)}: {param_key}: {message}")
    return errors


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """Return the source of a key, or of the first key below it."""
    return next((origin for name, origin in origins.items() if name == key or name.startswith(f"{key}.")), "config")


def _error_line(error: Any, origins: Mapping[str, str]) -> str:
    """Format an error of pydantic as `SOURCE: KEY: message`."""
    path = [str(part) for part in error["loc"]]
    names = [part for part in path if not part.isdigit()]
    key = ".".join(names)
    origin = _origin(key, origins)
    if error["type"] == "extra_forbidden":
        section: Any = Config
        for part in names[:-1]:
            field = section.model_fields.get(part)
            section = field.annotation if field else None
        valid_keys = section.model_fields if section is not None else {}
        return f"{origin}: {key}: unknown key{suggestion(names[-1], valid_keys)}"
    text = error["msg"].removeprefix("Value error, ")
    message = text[0].lower() + text[1:]
    return f"{origin}: {key}: {message}"
