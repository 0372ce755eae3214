"""`cryptoml setup-remotes`: connect git, DVC and MLflow to DagsHub or to local folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from cryptoml.cli.options import split_names
from cryptoml.cli.outcome import Outcome

if TYPE_CHECKING:
    from cryptoml.settings import Settings
    from cryptoml.workflows.setup.login import AskToken
    from cryptoml.workflows.setup.records import SetupResult

REPOSITORY = "DagsHub repository"
PUSH = "Push"
SAFETY = "Safety"


class SetupPart(TypedDict):
    """One part of the set-up."""

    name: str
    before: str
    after: str
    proof: Annotated[str, "the successful test; empty in a dry run"]
    changed: bool


class SetupDocument(TypedDict):
    """What was set up."""

    target: Annotated[str, "the repository, or the local folder"]
    dry_run: bool
    changed: Annotated[bool, "whether any part was changed, or would be in a dry run"]
    parts: list[SetupPart]
    notes: list[str]


def setup_remotes(
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=REPOSITORY,
            show_default="owner of the git remote, else your user",
            help="User or organization that owns the repository.",
        ),
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option(
            metavar="[OWNER/]NAME", rich_help_panel=REPOSITORY, help="Name of the repository. [env: DAGSHUB_REPO]"
        ),
    ] = None,
    create: Annotated[
        bool, typer.Option("--create", rich_help_panel=REPOSITORY, help="Create the repository if it does not exist.")
    ] = False,
    private: Annotated[
        bool,
        typer.Option(
            "--private/--public", rich_help_panel=REPOSITORY, help="Visibility of a repository created with --create."
        ),
    ] = True,
    local: Annotated[
        bool,
        typer.Option("--local", rich_help_panel=REPOSITORY, help="Use a local folder as DVC remote; needs no account."),
    ] = False,
    push: Annotated[bool, typer.Option("--push", rich_help_panel=PUSH, help="Push the current branch.")] = False,
    branches: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", rich_help_panel=PUSH, help="Also create and push these branches; implies --push."
        ),
    ] = None,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", rich_help_panel=SAFETY, help="Set up read access only; write nothing to DagsHub."),
    ] = False,
    trust_host: Annotated[
        bool,
        typer.Option("--trust-host", rich_help_panel=SAFETY, help="Trust the configured host with the token."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", rich_help_panel=SAFETY, help="Replace remotes that point to another repository."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=SAFETY, help="Show the changes without making them.")
    ] = False,
) -> Outcome[SetupDocument]:
    """Connect git, DVC and MLflow to DagsHub.

    Tests each connection. The token is read from DAGSHUB_TOKEN or .env; otherwise a prompt asks for it.

    Example: cryptoml setup-remotes --local
    """
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.setup.records import SetupRequest
    from cryptoml.workflows.setup.setup_remotes import setup_remotes as set_up

    settings = load_settings()
    request = SetupRequest(
        settings=settings,
        ask_token=_token_prompt(settings),
        trust_host=trust_host,
        read_only=read_only,
        owner=owner,
        repo=repo,
        create=create,
        private=private,
        push=push or branches is not None,
        branches=tuple(split_names(branches)),
        force=force,
        dry_run=dry_run,
        local=local,
    )
    with listening() as listener:
        result = set_up(request, on_event=listener)
    return Outcome(result.to_dict(), lambda: _show(result))


def _show(result: SetupResult) -> None:
    from cryptoml.cli.console import print_lines, print_table

    print_table(
        ("part", "before", "after", "test"),
        [
            (part.name, part.before, part.after if part.changed else "unchanged", part.proof or "not tested")
            for part in result.parts
        ],
        title=result.target,
        left=4,
        fold=True,
    )
    lines = [f"note: {note}" for note in result.notes]
    if result.dry_run:
        lines.append("dry run: nothing was changed")
    elif result.changed:
        lines.append("connected; next: cryptoml push-data, cryptoml train, cryptoml doctor")
    else:
        lines.append("no changes needed; all connections work")
    print_lines(lines)


def _token_prompt(settings: Settings) -> AskToken | None:
    """Return a function that prompts for a token without echo; None without a terminal."""
    import getpass
    import sys

    if not (sys.stdin and sys.stdin.isatty()):
        return None

    def ask(refused: str) -> str:
        if refused:
            typer.echo(refused, err=True)
        return getpass.getpass(f"DagsHub token ({settings.dagshub_host}/user/settings/tokens): ").strip()

    return ask
