"""`cryptoml register`: a run's model into the registry, through the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cryptoml.cli.options import AsJson, ConfigFile, Overrides


def register(
    run: Annotated[str | None, typer.Argument(help="A run's id or name.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The best run of the newest training.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Register it although the gate says no.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept on the version. Needed with --force.")] = None,
    data: Annotated[Path | None, typer.Option(help="Candles for the duel with the version in production.")] = None,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Make a run's model a version; a run that is one already stays that one."""
    from cryptoml.cli.configured import configured
    from cryptoml.cli.console import listening, print_json_last, print_lines
    from cryptoml.errors import UsageError
    from cryptoml.workflows.register import RegisterRequest
    from cryptoml.workflows.register import register as enter

    if (run is None) != best:
        raise UsageError("which run?", hint="name one (cryptoml compare shows them), or --best")
    settings, loaded = configured(config, set_)
    with listening() as listener:
        done = enter(
            RegisterRequest(settings, loaded.config, run=run, force=force, reason=reason, data=data),
            on_event=listener,
        )
    if as_json:
        print_json_last(done.to_dict())
        return
    word = "is now" if done.is_new else "is already"
    print_lines(
        [
            f"{done.run_name} {word} {done.model_name} v{done.version}",
            *(f"forced: {one}" for one in done.reasons),
            *(f"note: {one}" for one in done.warnings),
        ]
    )
