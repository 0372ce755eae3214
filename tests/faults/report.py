"""The campaign's results: as JSON, and as the table in docs/reliability.md."""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.faults.case import Result
from tests.faults.faults import FAULTS
from tests.faults.kills import SIGNALS

BEGIN, END = "<!-- campaign: begin -->", "<!-- campaign: end -->"
# Columns, with the first words of their kinds of requests.
AREAS = {
    "experiments": ("experiment", "server"),
    "runs": ("run", "log", "metric"),
    "artifacts": ("artifact",),
    "registered models": ("model",),
    "versions": ("version",),
    "DVC": ("dvc",),
    "API, git": ("api", "git"),
}
LIBRARIES = ("cryptoml", "mlflow", "dvc", "requests")


@dataclass(frozen=True)
class Campaign:
    """All cases with their results; `seconds` is the wall clock's."""

    seed: int
    seconds: float
    cases: tuple[tuple[str, Result], ...]

    @property
    def failed(self) -> list[tuple[str, Result]]:
        """Cases whose accounts do not balance."""
        return [(text, result) for text, result in self.cases if result.problems]

    def summary(self) -> str:
        """One line."""
        reached = sum(result.reached for _, result in self.cases)
        return (
            f"{len(self.cases)} cases, {reached} reached, {len(self.failed)} failed, "
            f"seed {self.seed}, {self.seconds / 60:.1f} min"
        )


def versions() -> dict[str, str]:
    """The versions that the results belong to."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def write_json(path: Path, campaign: Campaign) -> None:
    """Every case, with what its commands printed where it failed."""
    cases = [
        {"case": text, **asdict(result), "said": result.said if result.problems else ""}
        for text, result in campaign.cases
    ]
    document = {"seed": campaign.seed, "seconds": campaign.seconds, "versions": versions(), "cases": cases}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_table(path: Path, campaign: Campaign) -> None:
    """Replace what stands between the markers of the page."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{table(campaign)}{END}{after}", encoding="utf-8")


def table(campaign: Campaign) -> str:
    """The results in Markdown."""
    faults = [one for _, one in campaign.cases if one.what not in SIGNALS]
    kills = [one for _, one in campaign.cases if one.what in SIGNALS]
    told = ", ".join(f"{name} {text}" for name, text in versions().items())
    lines = [
        f"{campaign.summary()}, {datetime.now(UTC):%Y-%m-%d}; {told}.",
        "",
        *_matrix(faults),
        *_rows("request", faults, lambda one: one.kind),
        *_rows("command", faults, lambda one: one.scenario),
        *_rows("killed command", kills, lambda one: f"{one.scenario}, SIG{one.what}"),
    ]
    if campaign.failed:
        lines += ["Failed cases:", ""]
        lines += [f"- `{text}`: {'; '.join(result.problems)[:300]}" for text, result in campaign.failed]
        lines.append("")
    return "\n".join(lines)


def _matrix(results: Sequence[Result]) -> list[str]:
    """Faults down, kinds of requests across; a cell: cases that balance / all cases."""
    lines = [f"| fault \\ request | {' | '.join(AREAS)} |", f"|---|{'---|' * len(AREAS)}"]
    for name, fault in FAULTS.items():
        cells = []
        for kinds in AREAS.values():
            found = [one for one in results if one.what == name and one.kind.split("-")[0] in kinds]
            cells.append(f"{sum(not one.problems for one in found)} / {len(found)}" if found else "")
        if any(cells):
            lines.append(f"| {fault.says} | {' | '.join(cells)} |")
    return [*lines, ""] if results else []


def _rows(title: str, results: Iterable[Result], group: Callable[[Result], str]) -> list[str]:
    groups: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[group(result)].append(result)
    if not groups:
        return []
    lines = [
        f"| {title} | cases | took place | exit 0 at once | healed afterwards | failed |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in sorted(groups.items()):
        failed = sum(bool(one.problems) for one in found)
        at_once = sum(one.codes[0] == 0 and not one.problems for one in found)
        counts = (len(found), sum(one.reached for one in found), at_once, len(found) - failed - at_once, failed)
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return [*lines, ""]
