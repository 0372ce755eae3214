"""Find or create the DagsHub repository, and write its addresses and the token to `.env`."""

from __future__ import annotations

from pathlib import Path

from cryptoml import events
from cryptoml.errors import AccessError, UsageError
from cryptoml.remotes import env_file
from cryptoml.remotes.dagshub import Addresses, Repository
from cryptoml.settings import read_dotenv
from cryptoml.system.hosts import DEFAULT_HOST
from cryptoml.workflows.setup.login import Login
from cryptoml.workflows.setup.records import NOTHING, Part, SetupRequest

VARIABLES = "DAGSHUB_* and MLFLOW_TRACKING_*"


def find_or_create_repository(
    request: SetupRequest, login: Login, slug: str, *, on_event: events.OnEvent
) -> tuple[Repository | None, Part]:
    """Return the repository, created if requested; None in a dry run that would create it.

    Raise UsageError if it does not exist, AccessError if the user has no write permission and `read_only` is not set.
    """
    found = login.hub.find_repository(slug)
    if found is None:
        if not request.create:
            raise UsageError(
                f"{slug}: repository not found, or {login.user} has no access to it.",
                hint="check --owner and --repo, or add --create to create a private repository",
            )
        kind = "private" if request.private else "public"
        if not request.dry_run:
            found = login.hub.create_repository(slug, private=request.private, login=login.user)
            on_event(events.Info(f"created {slug} ({kind})"))
        return found, Part("repository", NOTHING, f"{slug} ({kind})", "" if request.dry_run else "created")
    if not found.may_push and not request.read_only:
        raise AccessError(
            f"{slug}: {login.user} has read-only access.",
            hint="cryptoml setup-remotes --read-only, or ask its owner for write permission",
        )
    shown = f"{found.slug} ({'private' if found.private else 'public'})"
    return found, Part("repository", shown, shown, f"{login.user} may {'write' if found.may_push else 'read'}")


def write_env(folder: Path, at: Addresses, login: Login, *, dry_run: bool) -> Part:
    """Write the user, the token and the addresses to `.env`."""
    path = folder / ".env"
    values = {
        "DAGSHUB_USERNAME": login.user,
        "DAGSHUB_TOKEN": login.token,
        "DAGSHUB_REPO": at.slug,
        "MLFLOW_TRACKING_URI": at.mlflow,
        "MLFLOW_TRACKING_USERNAME": login.user,
        "MLFLOW_TRACKING_PASSWORD": login.token,
    }
    # An old host in the file must not be combined with a token for another host.
    if at.host != DEFAULT_HOST or "DAGSHUB_CLIENT_HOST" in read_dotenv(folder):
        values["DAGSHUB_CLIENT_HOST"] = at.host
    old = env_file.read_text(path)
    before = VARIABLES
    if env_file.updated_text(old, values) != old:
        before = "exists" if path.exists() else NOTHING
    if not dry_run:
        env_file.write_variables(path, values)
    return Part(".env", before, VARIABLES, "" if dry_run else "mode 0600, ignored by git")
