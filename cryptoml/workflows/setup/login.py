"""Who sets up, and which repository: the token, asked for again where DagsHub refuses it, and owner/name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptoml.errors import AccessError, UsageError
from cryptoml.remotes import git_remote
from cryptoml.remotes.dagshub import DagsHub, TokenRefusedError
from cryptoml.remotes.http import check_secret_address
from cryptoml.settings import Settings
from cryptoml.system.hosts import ENVIRONMENT

TRIES = 3
TYPED = "a token typed here"
# Given what was wrong with the last token (empty at first), asks somebody for one, who may give none.
AskToken = Callable[[str], str]


@dataclass(frozen=True)
class Login:
    """DagsHub's API with a token that it knows, the token, and whose it is."""

    hub: DagsHub
    token: str
    user: str


def log_in(settings: Settings, ask_token: AskToken | None) -> Login:
    """Log in with the settings' token, else with one that is asked for; a refused one is asked for again.

    Raises AccessError without a token, after TRIES refused ones, and before a token goes to an untrusted host.
    """
    host = settings.dagshub_host.rstrip("/")
    check_secret_address(host)
    hint = (
        f"make a new token at {host}/user/settings/tokens and put it into .env as DAGSHUB_TOKEN, or run "
        "cryptoml setup-remotes on a terminal, which asks for it"
    )
    token, refused = settings.dagshub_secret(), ""
    for _ in range(TRIES):
        if not token and ask_token is not None:
            # Typed on this machine: the user's own, like the environment.
            settings.check_dagshub_host(TYPED, places=frozenset({ENVIRONMENT}))
            token = ask_token(refused)
        if not token:
            raise AccessError("no DagsHub token is set.", hint=hint)
        hub = DagsHub(host, token)
        try:
            return Login(hub, token, hub.login())
        except TokenRefusedError as error:
            refused, token = error.fact, None
            if ask_token is None:
                break
    raise AccessError(refused, hint=hint)


def choose_slug(
    settings: Settings, *, owner: str | None, repo: str | None, login: str, git_urls: Mapping[str, str]
) -> str:
    """owner/name: as asked for, else the settings', else that of a git remote at the host. Raises UsageError."""
    known = settings.dagshub_repo or ""
    if not known:
        slugs = [git_remote.slug_at(url, settings.dagshub_host.rstrip("/")) for url in git_urls.values()]
        known = next((slug for slug in slugs if slug), "")
    known_owner, _, known_name = known.rpartition("/")
    name = repo or known_name
    if "/" in name:
        owner, _, name = name.rpartition("/")
    if not name:
        raise UsageError("which repository is not known.", hint="name it: cryptoml setup-remotes --repo my-coins")
    return f"{owner or (known_owner if not repo else '') or login}/{name}"
