"""DagsHub's own API: who a token belongs to, what may be done with a repository, and making one when asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError, UsageError
from cryptoml.remotes.http import Response, send_request

TIMEOUT_S = 10.0
TOKEN_HINT = "make a new token in DagsHub's settings under Tokens, then: cryptoml setup-remotes"


class TokenRefusedError(AccessError):
    """DagsHub does not know the token; another one may do."""


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a DagsHub repository are; `slug` is owner/name."""

    host: str
    slug: str

    @property
    def git(self) -> str:
        """The git remote, without credentials."""
        return f"{self.host}/{self.slug}.git"

    @property
    def mlflow(self) -> str:
        """The MLflow server."""
        return f"{self.host}/{self.slug}.mlflow"

    @property
    def dvc(self) -> str:
        """The DVC remote (http form)."""
        return f"{self.host}/{self.slug}.dvc"

    @property
    def page(self) -> str:
        """The repository's page in a browser."""
        return f"{self.host}/{self.slug}"


@dataclass(frozen=True)
class Repository:
    """A repository and what the token may do with it."""

    slug: str
    private: bool
    may_pull: bool
    may_push: bool
    is_admin: bool


class DagsHub:
    """The API of one DagsHub host, asked with one token. Nothing is created but by `create_repository`."""

    def __init__(self, host: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        check_token_form(token)
        self.host = host.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s

    def login(self) -> str:
        """The user that the token belongs to; raises AccessError when DagsHub does not know it."""
        answer = self._ask("GET", "/api/v1/user")
        if answer.status == 401:
            raise TokenRefusedError(f"{self.host}: the token is wrong or has expired (401).", hint=TOKEN_HINT)
        document = self._document(answer, "check the token")
        name = document.get("username") or document.get("login")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{self.host}: what answers there is not DagsHub.", hint="check DAGSHUB_CLIENT_HOST")
        return name

    def find_repository(self, slug: str) -> Repository | None:
        """The repository, or None where it does not exist or is another's private one (DagsHub says 404 to both)."""
        check_slug(slug)
        answer = self._ask("GET", f"/api/v1/repos/{slug}")
        if answer.status == 404:
            return None
        return self._repository(slug, self._document(answer, f"look at {slug}"))

    def create_repository(self, slug: str, *, private: bool, login: str) -> Repository:
        """Make an empty repository for the user, or for an organisation when the owner is another."""
        check_slug(slug)
        owner, name = slug.split("/")
        path = "/api/v1/user/repos" if owner.lower() == login.lower() else f"/api/v1/org/{owner}/repos"
        answer = self._ask("POST", path, json={"name": name, "private": private, "auto_init": False})
        if answer.status == 422:
            raise UsageError(
                f"{slug}: DagsHub does not make it (422): it exists already, or the name is not allowed.",
                hint="choose another name with --repo",
            )
        if answer.status == 404:
            raise AccessError(
                f"{owner}: no such organisation, or not yours.", hint="name yourself or your organisation with --owner"
            )
        return self._repository(slug, self._document(answer, f"create {slug}"))

    def clock_skew_s(self) -> float | None:
        """How far the server's clock is ahead of ours, in seconds; None when it does not say."""
        from datetime import UTC, datetime
        from email.utils import parsedate_to_datetime

        text = self._ask("GET", "/api/v1/user").headers.get("date")
        try:
            return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds() if text else None
        except (TypeError, ValueError):
            return None

    def _ask(self, method: str, path: str, json: dict[str, object] | None = None) -> Response:
        return send_request(method, f"{self.host}{path}", token=self._token, timeout_s=self._timeout_s, json=json)

    def _document(self, answer: Response, doing: str) -> dict[str, Any]:
        document = answer.json()
        if answer.status < 300 and isinstance(document, dict):
            return document
        raise dagshub_error(answer.status, f"{self.host}: could not {doing}")

    def _repository(self, slug: str, document: dict[str, Any]) -> Repository:
        allowed = document.get("permissions") or {}
        return Repository(
            slug=document.get("full_name") or slug,
            private=bool(document.get("private")),
            may_pull=bool(allowed.get("pull", True)),
            may_push=bool(allowed.get("push", allowed.get("admin", True))),
            is_admin=bool(allowed.get("admin")),
        )


def dagshub_error(status: int, what: str) -> CryptomlError:
    """The error for a status of DagsHub that is no success; `what` is the thing and what was tried."""
    if status == 401:
        return AccessError(f"{what}: the token is wrong or has expired (401).", hint=TOKEN_HINT)
    if status == 403:
        return AccessError(
            f"{what}: the token may not do that (403).", hint="ask the repository's owner for write permission"
        )
    if status in (408, 429) or (status >= 500 and status != 507):
        return UnavailableError(f"{what}: DagsHub refuses for now ({status}).", hint="try again in a few minutes")
    if status in (413, 507):
        return UnavailableError(
            f"{what}: there is no room left ({status}).", hint="free room, or buy some: DagsHub's storage settings"
        )
    return ConfigError(f"{what}: what answers there is not DagsHub's API ({status}).", hint="check DAGSHUB_CLIENT_HOST")


def check_token_form(token: str) -> None:
    """Raise ConfigError for a token that cannot be one: blanks, quotes, line ends. The token is not repeated."""
    if not token:
        raise ConfigError("the DagsHub token is empty.", hint="put DAGSHUB_TOKEN into .env")
    if token != token.strip() or re.search(r"[\s'\"`]", token) or not token.isascii() or not token.isprintable():
        raise ConfigError(
            "the DagsHub token holds blanks, quotes or other characters that no token has.",
            hint="copy it again, without quotes around it",
        )


def check_slug(slug: str) -> None:
    """Raise UsageError for what is not owner/name."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", slug, re.ASCII):
        raise UsageError(f"{slug}: a repository is owner/name, of letters, digits, dots and dashes.")
