"""Read the config: merge its layers and check every key.

`--set a.b=c` > `CRYPTOML_A__B` (environment, then `.env`) > YAML > default. All errors are reported at once,
each with the key and the place it came from.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cryptoml.config.parameters import Configurable, nearest, problems
from cryptoml.config.schema import Config
from cryptoml.errors import ConfigError

ENV_PREFIX = "CRYPTOML_"

Models = Mapping[str, Configurable]


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config, with the place each changed key came from."""

    config: Config
    origins: Mapping[str, str]

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults included, as plain JSON types."""
        tree: dict[str, Any] = self.config.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """The first 12 hex digits of the SHA-256 of the resolved config."""
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

    The config holds every parameter of every model and the names of the models to train. Raises ConfigError naming
    every wrong key and where it stands.
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
        if _put(merged, key, value):
            origins[key] = origin
        else:
            errors.append(f"{origin}: {key}: a group of settings, or a key below one, was expected")
    given = merged.pop("models", {})
    errors += _check_models(given, models, origins)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        errors += [_in_words(one, origins) for one in error.errors()]
    if errors:
        raise ConfigError(
            errors[0] if len(errors) == 1 else "\n".join(["the config has errors:", *errors]),
            hint="correct the key; docs/config.md lists all of them",
        )
    return LoadedConfig(_completed(config, given, models), origins)


def _completed(config: Config, given: Mapping[str, Mapping[str, Any]], models: Models) -> Config:
    """The config with the defaults that depend on the models there are."""
    names = config.training.models or tuple(name for name, model in models.items() if not model.is_baseline)
    # A given value stays as it is written: 500 is not 500.0 in logged parameters and in the hash.
    params = {name: model.parameters().model_dump() | dict(given.get(name, {})) for name, model in models.items()}
    training = config.training.model_copy(update={"models": names})
    return config.model_copy(update={"training": training, "models": params})


def _from_yaml(path: Path | None) -> list[tuple[str, str, Any]]:
    if path is None:
        return []
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such config file.", hint="name another with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: this is not valid YAML.") from error
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: a mapping of sections was expected.", hint="see configs/default.yaml")
    return [(str(path), key, value) for key, value in _leaves(tree)]


def _leaves(tree: dict[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found += _leaves(value, f"{name}.")
        elif value is not None or prefix:
            found.append((name, value))
    return found


def _from_environment(variables: Mapping[str, str | None], origin: str) -> list[tuple[str, str, Any]]:
    found = []
    for name, text in sorted(variables.items()):
        if name.startswith(ENV_PREFIX) and "__" in name and text is not None:
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            found.append((f"{origin}, {name}", key, _scalar(text)))
    return found


def _from_overrides(overrides: Sequence[str], problems: list[str]) -> list[tuple[str, str, Any]]:
    found = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            problems.append(f"--set {text}: the form is --set section.key=value")
            continue
        found.append((f"--set {text}", key.strip().lower(), _scalar(value)))
    return found


def _scalar(text: str) -> Any:
    if "," in text and not text.lstrip().startswith(("[", "{", '"', "'")):
        text = f"[{text}]"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):
        # YAML 1.1 reads 1e-4 as text, people do not.
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _put(tree: dict[str, Any], key: str, value: Any) -> bool:
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
        return [f"{origins.get('models', 'config')}: models: a mapping from model to parameters was expected"]
    errors = []
    for name, values in given.items():
        key = f"models.{name}"
        if name not in models:
            errors.append(f"{_origin(key, origins)}: {key}: there is no such model{nearest(name, models)}")
        elif not isinstance(values, dict):
            errors.append(f"{origins.get(key, 'config')}: {key}: a mapping of parameters was expected")
        else:
            for param, problem in problems(models[name].parameters, values).items():
                at = f"{key}.{param}" if param else key
                errors.append(f"{_origin(at, origins)}: {at}: {problem}")
    return errors


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """Where the value of a key, or the first of those below it, came from."""
    return next((place for name, place in origins.items() if name == key or name.startswith(f"{key}.")), "config")


def _in_words(error: Any, origins: Mapping[str, str]) -> str:
    path = [str(part) for part in error["loc"]]
    names = [part for part in path if not part.isdigit()]
    key = ".".join(names)
    origin = _origin(key, origins)
    if error["type"] == "extra_forbidden":
        section: Any = Config
        for part in names[:-1]:
            field = section.model_fields.get(part)
            section = field.annotation if field else None
        known = section.model_fields if section is not None else {}
        return f"{origin}: {key}: there is no such key{nearest(names[-1], known)}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{origin}: {key}: {message}"
