"""The quality gates, with hand-worked numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from cryptoml.config.schema import QualitySection
from cryptoml.data.candles import Break, Finding, QualityReport
from cryptoml.data.cleaning.gates import age_in_intervals, check_quality


def report(*, missing: int = 0, no_trade: int = 0, findings: tuple[Finding, ...] = ()) -> QualityReport:
    breaks = (Break("2019-01-02 00:00", missing - no_trade),) if missing > no_trade else ()
    return QualityReport(
        "x.csv", "BTCUSDT", "1h", 1000, 900, "2019-01-01 00:00", "2019-02-12 00:00", missing, no_trade, breaks, findings
    )


@pytest.mark.parametrize(
    ("found", "limits", "failed"),
    [
        (report(), {}, []),
        (report(missing=100), {"max_missing_share": 0.1}, []),
        (report(missing=101), {"max_missing_share": 0.1}, ["missing"]),
        (report(missing=500, no_trade=450), {"max_missing_share": 0.06}, []),
        (report(findings=(Finding("exact duplicate of another row", "dropped", 100),)), {}, []),
        (
            report(
                findings=(
                    Finding("exact duplicate of another row", "dropped", 60),
                    Finding("rounded duplicate of another row", "dropped", 41),
                )
            ),
            {},
            ["duplicates"],
        ),
        (report(findings=(Finding("price spike", "dropped", 1),)), {}, []),
        # A share of few rows says nothing.
        (report(findings=(Finding("price spike", "dropped", 3),)), {}, []),
        (report(findings=(Finding("price spike", "dropped", 4),)), {}, ["spikes"]),
        (report(findings=(Finding("price spike", "dropped", 1),)), {"max_spike_share": 0}, ["spikes"]),
        (report(), {"max_age_intervals": 3}, []),
        (report(), {"max_age_intervals": 2}, ["age"]),
    ],
)
def test_a_gate_passes_up_to_its_limit(found, limits, failed):
    answers = check_quality(found, QualitySection(**limits), age_intervals=3.0)
    assert [answer.gate for answer in answers if not answer.passed] == failed


def test_age_is_checked_only_if_it_is_limited():
    assert "age" not in [one.gate for one in check_quality(report(), QualitySection(), age_intervals=1e9)]


def test_the_message_states_the_value_and_the_limit():
    answer = check_quality(report(missing=100), QualitySection(), age_intervals=0)[0]
    assert answer.fact == "100 of 1,000 candles are missing (10%), the limit is 5% (quality.max_missing_share)"


def test_age_is_measured_from_the_end_of_the_latest_candle():
    opened, hour = pd.Timestamp("2019-01-01", tz="UTC"), pd.Timedelta(hours=1)
    assert age_in_intervals(opened, hour, now=opened + 3.5 * hour) == 2.5
    assert age_in_intervals(opened, hour, now=opened + 0.5 * hour) == 0
