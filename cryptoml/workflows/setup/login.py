"""Log in to DagsHub, prompting for a token if needed, and choose the repository."""

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
# Prompts for a token, given the error of the previous one (empty at first); returns an empty string for none.
AskToken = Callable[[str], str]


@dataclass(frozen=True)
class Login:
    """An authenticated DagsHub API, its token, and the user of the token."""

    hub: DagsHub
    token: str
    user: str


def log_in(settings: Settings, ask_token: AskToken | None) -> Login:
    """Log in with the token of the settings or a prompted one; prompt again for a refused token.

    Raise AccessError without a token, after TRIES refused tokens, and before sending a token to an untrusted host.
    """
    host = settings.dagshub_host.rstrip("/")
    check_secret_address(host)
    hint = (
        f"create a token at {host}/user/settings/tokens and set it in .env as DAGSHUB_TOKEN, or run "
        "cryptoml setup-remotes in a terminal, which prompts for it"
    )
    token, refused = settings.dagshub_secret(), ""
    for _ in range(TRIES):
        if not token and ask_token is not None:
            # A typed token is trusted like one in the environment.
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
    """Return owner/name: as requested, else from the settings, else from a git remote. Raise UsageError if unknown."""
    known = settings.dagshub_repo or ""
    if not known:
        slugs = [git_remote.slug_at(url, settings.dagshub_host.rstrip("/")) for url in git_urls.values()]
        known = next((slug for slug in slugs if slug), "")
    known_owner, _, known_name = known.rpartition("/")
    name = repo or known_name
    if "/" in name:
        owner, _, name = name.rpartition("/")
    if not name:
        raise UsageError("no repository is set.", hint="cryptoml setup-remotes --repo my-coins")
    return f"{owner or (known_owner if not repo else '') or login}/{name}"
