"""Every exchange in SOURCES is supported by ccxt, returns pages of the stated size, and accepts another host."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from cryptoml import events
from cryptoml.cli.commands.extract_data import extract_data
from cryptoml.data.exchange.sources import SOURCES, find_source
from cryptoml.errors import UsageError


def hosts(addresses: object) -> set[str]:
    if isinstance(addresses, dict):
        return set().union(*(hosts(one) for one in addresses.values()))
    return {"/".join(str(addresses).split("/")[:3])}


@pytest.mark.parametrize("key", SOURCES)
def test_an_entry_matches_its_ccxt_client(key):
    source = SOURCES[key]
    exchange = source.open(url="http://127.0.0.1:1", on_event=events.ignore)
    client = exchange.client
    assert client.has["fetchOHLCV"]
    assert client.enableRateLimit
    assert hosts(client.urls["api"]) == {"http://127.0.0.1:1"}
    assert exchange.page_candles <= client.features["spot"]["fetchOHLCV"]["limit"]
    assert exchange.timeframe("60m").name == "1h"
    assert source.doc


def test_urls_keep_their_paths_with_another_host():
    client = SOURCES["binance"].open(url="https://mirror.example:8443", on_event=events.ignore).client
    assert client.urls["api"]["public"] == "https://mirror.example:8443/api/v3"


def test_intervals_are_matched_by_length_and_months_are_not_offered():
    exchange = SOURCES["binance"].open(url=None, on_event=events.ignore)
    assert exchange.timeframe("7d").name == "1w"
    with pytest.raises(UsageError) as caught:
        exchange.timeframe("30d")
    assert "1M" not in caught.value.hint


def test_names_match_in_any_case_and_errors_suggest_the_nearest():
    assert find_source(" Binance ") is SOURCES["binance"]
    with pytest.raises(UsageError, match="use bitstamp"):
        find_source("bitstam")
    with pytest.raises(UsageError, match="choose from binance"):
        find_source("zzz")


def test_help_lists_every_exchange():
    option = get_type_hints(extract_data, include_extras=True)["exchange"].__metadata__[0]
    assert all(key in option.help for key in SOURCES)
