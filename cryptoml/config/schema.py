"""The schema of `configs/*.yaml`: every key with its type, range, default and effect.

Tokens, URLs and folders are settings, see `cryptoml.settings`.
"""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cryptoml.system.names import check_model_name


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)


def _as_list(value: object) -> object:
    """Convert a single value, as in `--set training.models=rf`, to a list."""
    return [value] if isinstance(value, (str, int)) else value


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)
    except (OSError, ValueError, LookupError):
        near = get_close_matches(text, available_timezones(), n=1, cutoff=0.4)
        raise ValueError(f"unknown time zone {text!r}" + (f"; did you mean {near[0]}?" if near else "")) from None
    return text


# YAML parses 2019-01-01 as a date.
Date = Annotated[str, BeforeValidator(str)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Zone = Annotated[str, AfterValidator(_zone)]
ModelName = Annotated[str, BeforeValidator(str), AfterValidator(check_model_name)]
Windows = Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], BeforeValidator(_as_list)]


Horizons = Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], BeforeValidator(_as_list)]


class DataSection(_Section):
    """How candles are read."""

    symbol: str | None = Field(
        None,
        description="symbol, if neither a column nor the file name contains it; of several in a file, the one to read",
    )
    interval: str | None = Field(
        None, description="candle interval, if it cannot be derived from the times in the file"
    )
    columns: Names | None = Field(
        None, description="column names in the order of the file, or ROLE=NAME for columns with unusual names"
    )
    sheet: str | None = Field(None, description="sheet of an Excel file that has several")
    timezone: Zone | None = Field(
        None, description="time zone of dates without one, such as Europe/Berlin; UTC if not set"
    )
    on_bad_rows: Literal["drop", "fail"] = Field("drop", description="what to do with invalid rows: drop them, or fail")
    max_no_trade_candles: int | None = Field(
        None, ge=0, description="longest gap treated as 'no trade', in candles; depends on the interval if not set"
    )


class ExtractSection(_Section):
    """Which candles are fetched."""

    exchange: str = Field("binance", description="exchange to fetch candles from")
    symbols: Names = Field(("BTC/USDT",), min_length=1, description="markets to fetch, one file per market")
    interval: str = Field("1h", description="candle interval; the exchange must offer it")
    since: Date = Field("2019-01-01", description="first candle of a new file, UTC; an existing file is continued")


class QualitySection(_Section):
    """The quality requirements for candles."""

    max_missing_share: float = Field(
        0.05, ge=0, le=1, description="largest share of missing candles, not counting 'no trade' gaps"
    )
    max_duplicate_share: float = Field(0.1, ge=0, le=1, description="largest share of duplicate rows")
    max_spike_share: float = Field(0.001, ge=0, le=1, description="largest share of rows dropped as price spikes")
    max_age_intervals: int | None = Field(
        None, ge=0, description="largest age of the latest candle, in candles since its end; unlimited if not set"
    )


class FeaturesSection(_Section):
    """Which features are computed, and the windows in candles."""

    include: Names | None = Field(None, description="feature names; all features if not set")
    lag_windows: Windows = Field((1, 2, 3, 6, 12, 24), min_length=1, description="lags, in candles")
    rolling_windows: Windows = Field((6, 24, 72, 168), min_length=1, description="rolling windows, in candles")
    scaling_method: Literal["standard", "none"] = Field(
        "standard", description="scaler, fitted on the training part of each split"
    )


class TargetSection(_Section):
    """What is forecast."""

    prediction_horizon: int = Field(1, ge=1, le=1000, description="forecast horizon, in candles")
    further_horizons: Horizons = Field((), description="further horizons of the same model, in candles")
    clip_sigma: float = Field(4.0, gt=0, description="training targets are clipped at this many standard deviations")

    @model_validator(mode="after")
    def _check_horizons(self) -> Self:
        if len({self.prediction_horizon, *self.further_horizons}) <= len(self.further_horizons):
            raise ValueError("further_horizons and prediction_horizon contain a horizon twice")
        return self


class SplitSection(_Section):
    """One hold-out and one set of expanding folds, both cut by time."""

    train_test_split_ratio: float = Field(
        0.8, ge=0.5, le=0.95, description="share of the time span before the hold-out"
    )
    cross_validation_folds: int = Field(5, ge=2, le=20, description="number of expanding folds before the hold-out")
    gap_candles: int | None = Field(
        None, ge=0, description="gap between training and test part, in candles; default and minimum: the horizon"
    )


class TrainingSection(_Section):
    """Which models are trained, and how."""

    models: Names = Field(
        (), min_length=1, description="models to train; all if not set. The baseline, persistence, is always trained"
    )
    random_seed: int = Field(
        42, ge=0, le=2**31 - 1, description="random seed; results are reproducible to the last digit"
    )
    interval_level: float = Field(0.9, gt=0, lt=1, description="nominal coverage of the prediction interval")
    refit: Literal["full", "none"] = Field(
        "none", description="full: fit the best model again on all candles before it is registered; none: do not"
    )
    significance_level: float = Field(
        0.05, gt=0, lt=0.5, description="significance level of the test against persistence"
    )


class GateSection(_Section):
    """The requirements for a registration."""

    min_skill: float = Field(-0.001, ge=-1, le=1, description="minimum hold-out skill")
    min_coverage: float | None = Field(
        None,
        ge=0,
        le=1,
        description="minimum coverage of the prediction interval on the hold-out; 0.1 below its level if not set",
    )
    require: Literal["tie", "beats"] = Field(
        "tie", description="tie: refuse models worse than persistence; beats: refuse ties as well"
    )


class TrackingSection(_Section):
    """What is stored with a run."""

    purpose: str = Field("training", description="the tag `purpose` of each run")
    profile_report: bool = Field(True, description="create the profile report once per data set version")


class RegistrySection(_Section):
    """How the best run is registered."""

    model_name: ModelName = Field("crypto-price-predictor", description="name of the registered model")
    register_best: bool = Field(True, description="register the best run if it passes the gate")


class PromotionSection(_Section):
    """The requirements for a promotion."""

    require_reason: bool = Field(False, description="refuse promotions without --reason")
    on_tie: Literal["keep", "replace"] = Field(
        "keep",
        description="a candidate that is not significantly better than the version in production: keep that version, "
        "or replace it",
    )
    min_candles: int = Field(
        200,
        ge=30,
        description="minimum number of candles unseen by both models for comparing a candidate with the champion",
    )


class PredictionSection(_Section):
    """Which candles are recent enough for a forecast."""

    max_age_intervals: int = Field(2, ge=1, description="largest age of the latest candle, in candles since its end")


class MonitorSection(_Section):
    """The thresholds of `monitor`."""

    min_forecasts: int = Field(30, ge=5, description="minimum number of scored forecasts for a test result")
    max_drift: float = Field(
        1.0,
        gt=0,
        description="shift of a feature's mean that is reported as drift, in standard deviations of the training data",
    )
    max_volatility_ratio: float = Field(
        2.0,
        gt=1,
        description="size of the returns, as a multiple of that of the hold-out, which is reported as drift if it is "
        "above this or below one over it",
    )


class BacktestSection(_Section):
    """How `backtest` trades on forecasts."""

    fee_bps: float = Field(10.0, ge=0, le=1000, description="fee of buying and of selling, in basis points (1 / 100 %)")
    slippage_bps: float = Field(2.0, ge=0, le=1000, description="difference to the close, in basis points")
    threshold: Literal["cost", "interval", "none"] = Field(
        "cost",
        description="trade if the forecast exceeds the cost of buying and selling (cost), if the prediction interval "
        "is on one side of zero (interval), or always (none)",
    )
    short: bool = Field(True, description="sell short on forecasts of a fall; if false, stay out")


class Config(_Section):
    """A complete config file. Every key has a default; unknown keys are errors."""

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
    backtest: BacktestSection = BacktestSection()
