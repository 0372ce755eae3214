"""Run the stand-in exchange by hand: python -m tests.exchange [--candles 43800] [--port 8899]."""

from __future__ import annotations

import argparse
import signal

from tests.exchange.server import Fault, make_standin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.exchange", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interval", default="1h")
    parser.add_argument("--candles", type=int, default=8760, help="candles of each market, from 2019-01-01 on")
    parser.add_argument("--fault", action="append", default=[], help="429:2, 418:1, 503, drop, cut, silence, page")
    given = parser.parse_args()
    standin = make_standin(interval=given.interval, candles=given.candles)
    standin.faults = [Fault(kind, after or None) for kind, _, after in (text.partition(":") for text in given.fault)]
    standin.start(given.port)
    print(f"export CRYPTOML_EXCHANGE_URL={standin.url}")
    print(f"cryptoml extract-data --symbol BTC/USDT --interval {given.interval} -o /tmp/btc.csv", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        signal.pause()
    except KeyboardInterrupt:
        standin.stop()


if __name__ == "__main__":
    main()
