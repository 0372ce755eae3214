"""`cryptoml versions`: list the versions of the registered models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypedDict

from cryptoml.cli.options import ConfigFile, Overrides, Wide
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.workflows.versions import VersionRow


class VersionDocument(TypedDict):
    """A version of a registered model."""

    model_name: Annotated[str, "name in the registry"]
    version: str
    stage: Annotated[str, "none, staging, production or archived"]
    aliases: list[str]
    market: Annotated[str, "symbol, interval and horizon"]
    model_type: str
    verdict: Annotated[str, "beats, ties or worse than persistence"]
    skill: Annotated[float | None, "on the hold-out, a fraction"]
    coverage: Annotated[float | None, "of the prediction interval on the hold-out, a fraction"]
    dataset_version: str
    created: Annotated[str, "ISO, UTC"]
    run_name: str
    run_id: str


class VersionsDocument(TypedDict):
    """All versions, newest first within each model."""

    versions: list[VersionDocument]


def versions(
    wide: Wide = False,
    config: ConfigFile = None,
    set_: Overrides = None,
) -> Outcome[VersionsDocument]:
    """List the versions of registered models.

    Each market has a model of its own. Other commands take a version as v3, 3, latest, production or NAME@v3.

    Example: cryptoml versions --wide
    """
    from cryptoml.cli.project_config import load_project_config
    from cryptoml.workflows.versions import versions as list_versions

    settings, loaded = load_project_config(config, set_)
    rows = list_versions(settings, loaded.config)
    return Outcome({"versions": [row.to_dict() for row in rows]}, lambda: _show(rows, wide=wide))


def _show(rows: Sequence[VersionRow], *, wide: bool) -> None:
    from cryptoml.cli.console import print_lines
    from cryptoml.cli.tables import print_columns
    from cryptoml.evaluation.figures import cell
    from cryptoml.reports.tables import VERDICT_TITLE, Column

    if not rows:
        print_lines(["no versions are registered: cryptoml train, or cryptoml register"])
        return
    now = datetime.now(UTC)
    names = [row.model_name for row in rows]
    hidden = print_columns(
        [
            Column("model", names, align="left", shrinks=True, rank=0 if len(set(names)) > 1 else 9),
            Column("version", [f"v{row.version}" for row in rows], align="left"),
            Column("stage", [row.stage for row in rows], align="left"),
            Column("alias", [_other_aliases(row) for row in rows], align="left", rank=7),
            Column("market", [row.market for row in rows], align="left", rank=2),
            Column("type", [row.model_type for row in rows], align="left", rank=4),
            Column(VERDICT_TITLE, [row.verdict for row in rows], align="left", rank=3),
            Column("skill %", [cell(100 * row.skill, "+.3f") for row in rows]),
            Column("coverage %", [cell(100 * row.coverage, ".1f") for row in rows], rank=1),
            Column("age", [_age(now, row.created) for row in rows]),
            Column("data", [row.dataset_version[:18] for row in rows], align="left", rank=6),
            Column("run", [row.run_name for row in rows], align="left", rank=5, shrinks=True),
        ],
        wide=wide,
    )
    if hidden:
        print_lines(["some columns are hidden: show them with --wide or --json"])


def _other_aliases(row: VersionRow) -> str:
    return ", ".join(alias for alias in row.aliases if alias != row.stage)


def _age(now: datetime, created: datetime) -> str:
    minutes = int((now - created).total_seconds() // 60)
    if minutes < 120:
        return f"{max(minutes, 0)} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
