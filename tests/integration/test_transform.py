"""A processed data set trains as the candles it was made of do."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cryptoml.config.load import LoadedConfig, load_config
from cryptoml.data.candles import read_candles, write_candles
from cryptoml.data.processed import read_processed
from cryptoml.data.project_files import find_data, read_any
from cryptoml.data.simulation.simulate import simulate
from cryptoml.errors import CryptomlError, DataError
from cryptoml.models.zoo import MODELS
from cryptoml.settings import Settings
from cryptoml.workflows.training.request import TrainRequest
from cryptoml.workflows.training.train import train
from cryptoml.workflows.transform_data import transform

QUICK = (
    "split.cross_validation_folds=2",
    "features.rolling_windows=6,24",
    "training.models=ridge",
    "tracking.profile_report=false",
    "registry.register_best=false",
)
TIMES = ("training_time_seconds", "prediction_latency_ms")


def quick(*overrides: str) -> LoadedConfig:
    return load_config(None, models=MODELS, overrides=[*QUICK, *overrides])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Candles with a break in them, in their project's folder."""
    path = tmp_path / "data" / "raw" / "BTCUSDT_1h.csv"
    frame = simulate(symbol="BTCUSDT", candles=1500, signal=0.02, seed=3).frame
    write_candles(frame.drop(frame.index[300:320]).assign(symbol="BTCUSDT"), path)
    return path


def test_its_candles_are_those_of_the_raw_file(raw, tmp_path):
    made = transform(raw, tmp_path / "out", quick().config)
    assert made.path == tmp_path / "out" / "BTCUSDT_1h.parquet"
    stored, read = read_processed(made.path), read_candles(raw)
    assert stored.frame.equals(read.frame)
    assert (stored.symbol, stored.interval) == (read.symbol, read.interval)
    assert stored.report.breaks == read.report.breaks
    assert made.candles == 1480


def test_a_data_set_of_another_market_than_the_one_named_is_refused(raw, tmp_path):
    made = transform(raw, tmp_path / "out.parquet", quick().config).path
    for override, words in (
        ("data.symbol=ETH/USDT", "contains BTCUSDT, not ETHUSDT"),
        ("data.interval=4h", "are 1h apart, not 4h"),
    ):
        with pytest.raises(DataError, match=words):
            read_any(made, quick(override).config)
    same = quick("data.symbol=btc/usdt", "data.interval=60m").config
    assert read_any(made, same).symbol == "BTCUSDT"


def test_a_damaged_data_set_is_refused_and_not_trained_on(raw, tmp_path):
    made = transform(raw, tmp_path / "out.parquet", quick().config).path
    whole = made.read_bytes()
    table = pq.read_table(made)
    about = json.loads(table.schema.metadata[b"cryptoml.processed"])
    group = pq.read_metadata(made).row_group(0)
    close = next(one for one in map(group.column, range(9)) if one.path_in_schema == "close")
    at = close.data_page_offset + close.total_compressed_size // 2
    made.write_bytes(whole[:at] + bytes(9) + whole[at + 9 :])
    with pytest.raises(DataError, match=r"out.parquet: is damaged: .*cryptoml transform-data"):
        read_processed(made)
    for wrong in (table.drop_columns(["close"]), table):
        changed = {key: value for key, value in about.items() if key != "quality"} if wrong is table else about
        pq.write_table(wrong.replace_schema_metadata({b"cryptoml.processed": json.dumps(changed)}), made)
        with pytest.raises(DataError, match=r"is damaged|another version of cryptoml"):
            read_processed(made)
    pq.write_table(table.replace_schema_metadata({b"cryptoml.processed": b"{"}), made)
    with pytest.raises(DataError, match="create it again with cryptoml transform-data"):
        read_processed(made)


def test_training_gives_the_same_digits(raw, tmp_path):
    loaded = quick()
    project = tmp_path
    made = transform(raw, project / "data" / "processed", loaded.config).path
    table = transform(raw, project / "table.csv.gz", loaded.config).path
    assert find_data(project) == made, "the data set, and not the report beside it"
    settings = Settings(_env_file=None).model_copy(update={"project_dir": project})
    metrics = []
    for data in (raw, made):
        result = train(TrainRequest(data, settings, loaded))
        assert [row.model_type for row in result.models] == ["persistence", "ridge"]
        metrics.append([{key: x for key, x in row.metrics.items() if key not in TIMES} for row in result.models])
        assert result.symbol == "BTCUSDT"
    assert len(metrics[0][1]) > 15
    assert metrics[1] == metrics[0]
    assert read_candles(table).frame.equals(read_candles(raw).frame)


def test_unsuitable_paths_are_usage_errors(raw, tmp_path):
    config = quick().config
    made = transform(raw, tmp_path / "out", config).path
    before = raw.read_bytes()
    for source, output, code, words in (
        (made, tmp_path / "out2", 2, "is already a processed data set"),
        (raw, raw, 2, "the output is the input"),
        (raw, tmp_path / "x.json", 2, "unsupported file format"),
        (raw, raw / "x", 2, "is not a folder"),
        (tmp_path / "no.csv", tmp_path / "out2", 4, "no.csv"),
    ):
        with pytest.raises(CryptomlError, match=words) as caught:
            transform(source, output, config)
        assert caught.value.exit_code == code
    assert raw.read_bytes() == before
    assert not (tmp_path / "out2").exists()
