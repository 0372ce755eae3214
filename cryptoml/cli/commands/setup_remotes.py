"""`cryptoml setup-remotes`: connect git, DVC and MLflow to DagsHub, or to folders of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cryptoml.cli.options import AsJson

if TYPE_CHECKING:
    from cryptoml.settings import Settings
    from cryptoml.workflows.setup.login import AskToken


def setup_remotes(
    owner: Annotated[str | None, typer.Option(help="User or organisation that owns the repository.")] = None,
    repo: Annotated[str | None, typer.Option(help="The repository's name, or owner/name.")] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the repository when it is not there.")] = False,
    private: Annotated[
        bool, typer.Option("--private/--public", help="Who may see a repository made with --create.")
    ] = True,
    push: Annotated[bool, typer.Option("--push", help="Push the current branch.")] = False,
    branches: Annotated[
        str | None, typer.Option(help="With --push, other branches to make and push: dev,test.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="No account: DVC on a folder below .cryptoml/.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Set up for reading; write nothing to DagsHub.")
    ] = False,
    trust_host: Annotated[
        bool, typer.Option("--trust-host", help="Send the token to this host wherever it is named.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Change remotes that point to another repository.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Connect git, DVC and MLflow to a DagsHub repository, and prove that each works."""
    from cryptoml.cli.console import listening, print_json_last, print_lines, print_table
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
    if as_json:
        print_json_last(result.to_dict())
        return
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
    if dry_run:
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
