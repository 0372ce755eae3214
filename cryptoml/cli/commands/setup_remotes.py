"""`cryptoml setup-remotes`: connect git, DVC and MLflow to DagsHub, or to folders of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

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
    proof: Annotated[str, "what proves that it works; empty in a dry run"]
    changed: bool


class SetupDocument(TypedDict):
    """What was set up."""

    target: Annotated[str, "the repository, or the local folder"]
    dry_run: bool
    changed: Annotated[bool, "whether any part was, or would be, changed"]
    parts: list[SetupPart]
    notes: list[str]


def setup_remotes(
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=REPOSITORY,
            show_default="owner of the git remote, else you",
            help="User or organisation that owns the repository.",
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
            "--private/--public", rich_help_panel=REPOSITORY, help="Visibility of a repository made with --create."
        ),
    ] = True,
    local: Annotated[
        bool,
        typer.Option("--local", rich_help_panel=REPOSITORY, help="No account: DVC on a folder below .cryptoml/."),
    ] = False,
    push: Annotated[bool, typer.Option("--push", rich_help_panel=PUSH, help="Push the current branch.")] = False,
    branches: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", rich_help_panel=PUSH, help="Create and push these branches too; implies --push."
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", rich_help_panel=SAFETY, help="Set up for reading; write nothing to DagsHub.")
    ] = False,
    trust_host: Annotated[
        bool,
        typer.Option("--trust-host", rich_help_panel=SAFETY, help="Send the token to this host wherever it is named."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", rich_help_panel=SAFETY, help="Change remotes that point to another repository."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=SAFETY, help="Show what would be done; change nothing.")
    ] = False,
) -> Outcome[SetupDocument]:
    """Connect git, DVC and MLflow to DagsHub.

    Every part is tried out before the command ends. The token is taken from DAGSHUB_TOKEN or .env, or asked for.

    Example: cryptoml setup-remotes --local
    """
    from cryptoml.cli.console import listening
    from cryptoml.settings import load_settings
    from cryptoml.workflows.setup.records import SetupRequest
    from cryptoml.workflows.setup.setup_remotes import setup_remotes as set_up

    settings = load_settings()
    request = SetupRequest(
        settings=settings,
        ask_token=_token_asker(settings),
        trust_host=trust_host,
        read_only=read_only,
        owner=owner,
        repo=repo,
        create=create,
        private=private,
        push=push or branches is not None,
        branches=tuple(one.strip() for one in (branches or "").split(",") if one.strip()),
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
        ("part", "before", "after", "proof"),
        [
            (part.name, part.before, part.after if part.changed else "as before", part.proof or "not tried")
            for part in result.parts
        ],
        title=result.target,
        left=4,
        fold=True,
    )
    lines = [f"note: {note}" for note in result.notes]
    if result.dry_run:
        lines.append("nothing was changed: this was a dry run")
    elif result.changed:
        lines.append("connected; next: cryptoml push-data, cryptoml train, cryptoml doctor")
    else:
        lines.append("nothing had to be changed; everything works")
    print_lines(lines)


def _token_asker(settings: Settings) -> AskToken | None:
    """Asks for a token on a terminal, unseen; None where nobody can be asked."""
    import getpass
    import sys

    if not (sys.stdin and sys.stdin.isatty()):
        return None

    def ask(refused: str) -> str:
        if refused:
            typer.echo(refused, err=True)
        return getpass.getpass(f"DagsHub token ({settings.dagshub_host}/user/settings/tokens): ").strip()

    return ask
