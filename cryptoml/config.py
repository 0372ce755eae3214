"""What to do: the schema of `configs/*.yaml` and how its layers are merged.

`--set a.b=c` > `CRYPTOML_A__B` (environment, then `.env`) > YAML > default. All errors are reported at once,
each with the key and the place it came from. Who and where (tokens, URLs, folders) is `settings.py`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cryptoml.errors import ConfigError
from cryptoml.names import model_name

ENV_PREFIX = "CRYPTOML_"


@dataclass(frozen=True)
class ParamSpec:
    """One hyper-parameter of a model: its default, its range (both ends included) and its effect."""

    default: object
    doc: str
    kind: type = float
    low: float | None = None
    high: float | None = None
    choices: tuple[object, ...] = ()
    optional: bool = False

    def problem(self, value: object) -> str | None:
        """Why `value` is not allowed, in words, or None when it is."""
        if value is None:
            return None if self.optional else "a value is needed"
        if self.choices:
            named = ", ".join(str(choice) for choice in self.choices)
            return None if value in self.choices else f"must be one of {named}, not {value!r}"
        if self.kind in (int, float):
            wanted = (int,) if self.kind is int else (int, float)
            if isinstance(value, bool) or not isinstance(value, wanted):
                return f"must be {'a whole number' if self.kind is int else 'a number'}, not {value!r}"
            if self.low is not None and value < self.low:
                return f"must be at least {self.low}, not {value}"
            if self.high is not None and value > self.high:
                return f"must be at most {self.high}, not {value}"
            return None
        return None if isinstance(value, self.kind) else f"must be {self.kind.__name__}, not {value!r}"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)


def _as_list(value: object) -> object:
    """Let `--set training.models=rf` mean a list of one."""
    return [value] if isinstance(value, (str, int)) else value


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)
    except (OSError, ValueError, LookupError):
        near = get_close_matches(text, available_timezones(), n=1, cutoff=0.4)
        raise ValueError(f"{text!r} is no time zone" + (f"; did you mean {near[0]}?" if near else "")) from None
    return text


# YAML makes a date of 2019-01-01.
Date = Annotated[str, BeforeValidator(str)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Zone = Annotated[str, AfterValidator(_zone)]
ModelName = Annotated[str, BeforeValidator(str), AfterValidator(model_name)]
Windows = Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], BeforeValidator(_as_list)]


class DataSection(_Section):
    """How candles are read."""

    symbol: str | None = Field(None, description="symbol, when neither a column nor the file's name tells it")
    interval: str | None = Field(None, description="interval, when the steps of the file do not tell it")
    columns: Names | None = Field(None, description="the file's columns in order, when its header does not tell them")
    timezone: Zone | None = Field(
        None, description="time zone of dates that name none, such as Europe/Berlin; else UTC"
    )
    on_bad_rows: Literal["drop", "fail"] = Field("drop", description="what happens to rows that cannot be true")
    max_no_trade_candles: int | None = Field(
        None, ge=0, description="longest gap read as 'no trade'; by interval when not given"
    )


class ExtractSection(_Section):
    """Which candles are fetched."""

    exchange: str = Field("binance", description="where candles come from; one of SOURCES")
    symbols: Names = Field(("BTC/USDT",), min_length=1, description="markets to fetch, one file each")
    interval: str = Field("1h", description="length of a candle, as the exchange offers it")
    since: Date = Field("2019-01-01", description="first candle of a new file, UTC; later calls go on at its end")


class QualitySection(_Section):
    """What candles must show to become a data set."""

    max_missing_share: float = Field(
        0.05, ge=0, le=1, description="largest share of candles missing, those read as 'no trade' left out"
    )
    max_duplicate_share: float = Field(0.1, ge=0, le=1, description="largest share of rows that copy another one")
    max_spike_share: float = Field(0.001, ge=0, le=1, description="largest share of rows that are misprints")
    max_age_intervals: int | None = Field(
        None, ge=0, description="greatest age of the newest candle's end, in candles; any when not given"
    )


class FeaturesSection(_Section):
    """Which features are computed, and over which windows (in candles)."""

    include: Names | None = Field(None, description="feature names; all registered ones when not given")
    lag_windows: Windows = Field((1, 2, 3, 6, 12, 24), min_length=1, description="lags, in candles")
    rolling_windows: Windows = Field((6, 24, 72, 168), min_length=1, description="rolling windows, in candles")
    scaling_method: Literal["standard", "none"] = Field("standard", description="scaler fitted on each training part")


class TargetSection(_Section):
    """What is forecast."""

    prediction_horizon: int = Field(1, ge=1, le=1000, description="candles ahead")
    clip_sigma: float = Field(4.0, gt=0, description="training targets are clipped at this many deviations")


class SplitSection(_Section):
    """One hold-out and one set of expanding folds, both cut by time."""

    train_test_split_ratio: float = Field(0.8, ge=0.5, le=0.95, description="share of the time before the hold-out")
    cross_validation_folds: int = Field(5, ge=2, le=20, description="expanding folds before the hold-out")
    gap_candles: int | None = Field(None, ge=0, description="at least the horizon, which is also the default")


class TrainingSection(_Section):
    """Which models are trained, and how."""

    models: Names = Field(
        ("rf", "gbm", "ridge", "xgb"), min_length=1, description="models to train; persistence always is"
    )
    random_seed: int = Field(42, ge=0, le=2**31 - 1, description="the same seed gives the same digits")
    interval_level: float = Field(0.9, gt=0, lt=1, description="share of outcomes the interval should cover")
    significance_level: float = Field(0.05, gt=0, lt=0.5, description="level of the verdict against persistence")


class GateSection(_Section):
    """What a run must show to be registered."""

    min_skill: float = Field(-0.001, ge=-1, le=1, description="least hold-out skill")
    require: Literal["tie", "beats"] = Field("tie", description="beats: a tie with persistence is refused as well")


class TrackingSection(_Section):
    """What is said about a run."""

    purpose: str = Field("training", description="the tag `purpose` of each run")
    profile_report: bool = Field(True, description="make the profile report once per data set version")


class RegistrySection(_Section):
    """Where the best run goes."""

    model_name: ModelName = Field("crypto-price-predictor", description="name in the registry")
    register_best: bool = Field(True, description="register the best run when the gate lets it in")


class PromotionSection(_Section):
    """What a version must show to be promoted."""

    require_reason: bool = Field(False, description="a promotion without --reason is refused")
    min_candles: int = Field(
        200,
        ge=30,
        description="least number of candles unseen by both on which a candidate and a champion are compared",
    )


class PredictionSection(_Section):
    """Which candles a forecast may be made from."""

    max_age_intervals: int = Field(2, ge=1, description="greatest age of the newest candle's end, in candles")


class MonitorSection(_Section):
    """When the model in production has become too bad."""

    min_forecasts: int = Field(30, ge=5, description="least number of scored forecasts for a verdict")
    max_drift: float = Field(
        1.0, gt=0, description="shift of a feature's mean, in its training deviations, from which it is said to drift"
    )


class Config(_Section):
    """The whole of a config file; every key has a default, every unknown key is an error."""

    data: DataSection = DataSection()
    extract: ExtractSection = ExtractSection()
    quality: QualitySection = QualitySection()
    features: FeaturesSection = FeaturesSection()
    target: TargetSection = TargetSection()
    split: SplitSection = SplitSection()
    training: TrainingSection = TrainingSection()
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    gate: GateSection = GateSection()
    tracking: TrackingSection = TrackingSection()
    registry: RegistrySection = RegistrySection()
    promotion: PromotionSection = PromotionSection()
    prediction: PredictionSection = PredictionSection()
    monitor: MonitorSection = MonitorSection()


ModelParams = Mapping[str, Mapping[str, ParamSpec]]


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
    model_params: ModelParams,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    dotenv: Mapping[str, str | None] | None = None,
) -> LoadedConfig:
    """Merge the layers and check them; `models` is completed with every parameter's default.

    Raises ConfigError naming every wrong key and where it stands.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for origin, key, value in [
        *_from_yaml(path),
        *_from_environment(dotenv or {}, ".env"),
        *_from_environment(environ or {}, "environment"),
        *_from_overrides(overrides, problems),
    ]:
        if _put(merged, key, value):
            origins[key] = origin
        else:
            problems.append(f"{origin}: {key}: a group of settings, or a key below one, was expected")
    models = merged.pop("models", {})
    problems += _check_models(models, model_params, origins)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        problems += [_in_words(one, origins) for one in error.errors()]
    if problems:
        raise ConfigError(
            problems[0] if len(problems) == 1 else "\n".join(["the config has errors:", *problems]),
            mend="correct the key; docs/config.md lists all of them",
        )
    complete = {
        name: {param: models.get(name, {}).get(param, spec.default) for param, spec in specs.items()}
        for name, specs in model_params.items()
    }
    return LoadedConfig(config.model_copy(update={"models": complete}), origins)


def _from_yaml(path: Path | None) -> list[tuple[str, str, Any]]:
    if path is None:
        return []
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such config file.", mend="name another with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: this is not valid YAML.") from error
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: a mapping of sections was expected.", mend="see configs/default.yaml")
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


def _check_models(models: Any, model_params: ModelParams, origins: Mapping[str, str]) -> list[str]:
    if not isinstance(models, dict):
        return [f"{origins.get('models', 'config')}: models: a mapping from model to parameters was expected"]
    problems = []
    for name, given in models.items():
        if name not in model_params:
            origin = next((place for key, place in origins.items() if key.startswith(f"models.{name}")), "config")
            problems.append(f"{origin}: models.{name}: there is no such model{_nearest(name, model_params)}")
            continue
        if not isinstance(given, dict):
            problems.append(f"{origins.get(f'models.{name}')}: models.{name}: a mapping of parameters was expected")
            continue
        for param, value in given.items():
            key = f"models.{name}.{param}"
            spec = model_params[name].get(param)
            fault = (
                f"there is no such parameter{_nearest(param, model_params[name])}"
                if spec is None
                else (spec.problem(value))
            )
            if fault:
                problems.append(f"{origins.get(key, 'config')}: {key}: {fault}")
    return problems


def _in_words(error: Any, origins: Mapping[str, str]) -> str:
    path = [str(part) for part in error["loc"]]
    names = [part for part in path if not part.isdigit()]
    key = ".".join(names)
    origin = next((place for name, place in origins.items() if name == key or name.startswith(f"{key}.")), "config")
    if error["type"] == "extra_forbidden":
        section: Any = Config
        for part in names[:-1]:
            field = section.model_fields.get(part)
            section = field.annotation if field else None
        known = section.model_fields if section is not None else {}
        return f"{origin}: {key}: there is no such key{_nearest(names[-1], known)}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{origin}: {key}: {message}"


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
