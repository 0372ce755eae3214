"""`python -m tests.faults.campaign --seed 1 --faults 200 --kills 200`: every case from one seed, two side by side."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

from tests.faults.case import Bench, Result
from tests.faults.faults import FAULTS
from tests.faults.kills import KILLED, SIGNALS, Shot, kill
from tests.faults.kinds import WITH_BODY
from tests.faults.proxy import Plan, Proxy
from tests.faults.report import Campaign, write_json, write_table
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World
from tests.standin.server import Standin

SLOW = ("slow-0.2", "slow-3")
# A case as text: scenario:kind:fault:nth:times, or scenario:KILL:time|before|after:at.
Item = tuple[str, "Plan | Shot"]


def parse(text: str) -> Item:
    """The case that a text names, as the table and the tests write it."""
    scenario, *rest = text.split(":")
    if rest[0] in SIGNALS:
        return scenario, Shot(rest[0], rest[1], float(rest[2]))  # type: ignore[arg-type]
    kind, fault, nth, times = rest
    return scenario, Plan(kind, fault, int(nth), int(times))


def run_item(bench: Bench, item: Item, name: str) -> Result:
    """Run one case."""
    scenario, what = item
    return kill(bench, scenario, what, name) if isinstance(what, Shot) else bench.run(scenario, what, name)


def fault_items(rng: random.Random, count: int, requests: Mapping[str, Counter[str]]) -> list[Item]:
    """Cases that go through all faults and all kinds of requests in turn, in an order that the seed chooses."""
    pairs = [(scenario, kind) for scenario, found in requests.items() for kind in sorted(found) if kind != "other"]
    names = list(FAULTS)
    items: list[Item] = []
    while len(items) < count:
        rng.shuffle(pairs)
        rng.shuffle(names)
        for place, (scenario, kind) in enumerate(pairs):
            fault = names[(len(items) + place) % len(names)]
            if FAULTS[fault].needs_body and kind not in WITH_BODY:
                continue
            most = requests[scenario][kind]
            nth = rng.choice((1, most, rng.randint(1, most)))
            times = rng.choice((1, 2) if fault in SLOW else (1, 1, 3, 0))
            items.append((scenario, Plan(kind, fault, nth, times)))
    return items[:count]


def kill_items(
    rng: random.Random, count: int, requests: Mapping[str, Counter[str]], seconds: Mapping[str, float]
) -> list[Item]:
    """Kills at moments that the seed chooses, half of them -9; half by request where there are requests."""
    items: list[Item] = []
    for number in range(count):
        scenario = KILLED[number % len(KILLED)]
        most = sum(requests[scenario].values())
        sign = rng.choice(tuple(SIGNALS))
        if most and rng.random() < 0.5:
            items.append((scenario, Shot(sign, rng.choice(("before", "after")), rng.randint(1, most))))  # type: ignore[arg-type]
        else:
            items.append((scenario, Shot(sign, "time", round(rng.uniform(0.1, seconds[scenario]), 2))))  # type: ignore[arg-type]
    return items


class Benches:
    """As many proxies as cases run side by side."""

    def __init__(self, world: World, proxies: Sequence[Proxy]) -> None:
        self._world = world
        self._free: Queue[Bench] = Queue()
        self._workers = len(proxies)
        for proxy in proxies:
            self._free.put(Bench(world, proxy))

    def run(self, items: Sequence[Item], label: str) -> list[Result]:
        """Run all cases; results in their order."""
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(self._one, items, [f"{label}-{number}" for number in range(len(items))]))

    def measure(self, scenarios: Sequence[str]) -> tuple[dict[str, Counter[str]], dict[str, float]]:
        """Each scenario without a fault: its requests by kind, and its seconds."""
        with ThreadPoolExecutor(self._workers) as pool:
            found = dict(zip(scenarios, pool.map(self._count, scenarios), strict=True))
        return {name: one[0] for name, one in found.items()}, {name: one[1] for name, one in found.items()}

    def _count(self, scenario: str) -> tuple[Counter[str], float]:
        bench = self._free.get()
        try:
            seen, seconds, result = bench.count(scenario, f"plain-{scenario}")
        finally:
            self._free.put(bench)
        if result.problems:
            raise RuntimeError(f"{scenario} fails without a fault: {result.problems}\n{result.said}")
        return Counter(one.kind for one in seen), seconds

    def _one(self, item: Item, name: str) -> Result:
        bench = self._free.get()
        try:
            result = run_item(bench, item, name)
        finally:
            self._free.put(bench)
        if not result.problems and item[0] != "promote":
            # A promotion's project is used by the next one, too.
            shutil.rmtree(self._world.root / name, ignore_errors=True)
        words = "; ".join(result.problems) or ("balanced" if result.reached else "not reached")
        print(f"{item[0]}:{item[1]} {list(result.codes)} {result.seconds:.0f} s: {words}", flush=True)
        return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 when every account balances."""
    options = _options().parse_args(arguments)
    began = time.monotonic()
    with ExitStack() as stack:
        root = Path(options.root or stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        standin = stack.enter_context(Standin(root / "standin"))
        proxies = [stack.enter_context(Proxy(standin.url)) for _ in range(options.workers)]
        benches = Benches(World(root / "world", standin), proxies)
        if options.case:
            items = [parse(text) for text in options.case]
        else:
            requests, seconds = benches.measure(tuple(SCENARIOS))
            rng = random.Random(options.seed)
            items = fault_items(rng, options.faults, requests)
            items += kill_items(rng, options.kills, requests, seconds)
        results = benches.run(items, "case")
    done = Campaign(
        options.seed, time.monotonic() - began, tuple(zip((_text(one) for one in items), results, strict=True))
    )
    if options.json:
        write_json(options.json, done)
    if options.table:
        write_table(options.table, done)
    print(done.summary())
    if options.case:
        print("\n".join(result.said for result in results if result.problems))
    return 1 if done.failed else 0


def _text(item: Item) -> str:
    return f"{item[0]}:{item[1]}"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", action="append", help="run only this case, as the table writes it")
    parser.add_argument("--json", type=Path, help="write every result here")
    parser.add_argument("--table", type=Path, help="write the table between the markers of this page")
    parser.add_argument("--root", type=Path, help="keep all folders here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
