"""DagsHub's API: the user of a token, the permissions on a repository, and creating a repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError, UsageError
from cryptoml.remotes.http import Response, send_request

TIMEOUT_S = 10.0
TOKEN_HINT = "create a new token in DagsHub's settings under Tokens, then: cryptoml setup-remotes"


class TokenRefusedError(AccessError):
    """DagsHub rejected the token; another token may work."""


@dataclass(frozen=True)
class Addresses:
    """Addresses of a DagsHub repository; `slug` is owner/name."""

    host: str
    slug: str

    @property
    def git(self) -> str:
        """The git remote's address, without credentials."""
        return f"{self.host}/{self.slug}.git"

    @property
    def mlflow(self) -> str:
        """The MLflow server's address."""
        return f"{self.host}/{self.slug}.mlflow"

    @property
    def dvc(self) -> str:
        """The DVC remote's http address."""
        return f"{self.host}/{self.slug}.dvc"

    @property
    def page(self) -> str:
        """The address of the repository's web page."""
        return f"{self.host}/{self.slug}"


@dataclass(frozen=True)
class Repository:
    """A repository and the token's permissions on it."""

    slug: str
    private: bool
    may_pull: bool
    may_push: bool
    is_admin: bool


class DagsHub:
    """Client of a DagsHub host's API with one token. Only `create_repository` creates anything."""

    def __init__(self, host: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        check_token_form(token)
        self.host = host.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s

    def login(self) -> str:
        """Return the user of the token; raise TokenRefusedError if DagsHub rejects it."""
        response = self._send("GET", "/api/v1/user")
        if response.status == 401:
            raise TokenRefusedError(f"{self.host}: the token is invalid or has expired (401).", hint=TOKEN_HINT)
        document = self._document(response, "check the token")
        name = document.get("username") or document.get("login")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{self.host}: the server is not DagsHub.", hint="check DAGSHUB_CLIENT_HOST")
        return name

    def find_repository(self, slug: str) -> Repository | None:
        """Return the repository; None if it does not exist or is a private one without access (both 404)."""
        check_slug(slug)
        response = self._send("GET", f"/api/v1/repos/{slug}")
        if response.status == 404:
            return None
        return self._repository(slug, self._document(response, f"read the repository {slug}"))

    def create_repository(self, slug: str, *, private: bool, login: str) -> Repository:
        """Create an empty repository for the user, or for an organisation if the owner is not `login`."""
        check_slug(slug)
        owner, name = slug.split("/")
        path = "/api/v1/user/repos" if owner.lower() == login.lower() else f"/api/v1/org/{owner}/repos"
        response = self._send("POST", path, json={"name": name, "private": private, "auto_init": False})
        if response.status == 422:
            raise UsageError(
                f"{slug}: DagsHub rejected the repository (422): it already exists, or the name is not allowed.",
                hint="choose another name with --repo",
            )
        if response.status == 404:
            raise AccessError(
                f"{owner}: this organisation does not exist, or you are not a member.",
                hint="pass your user or organisation with --owner",
            )
        return self._repository(slug, self._document(response, f"create the repository {slug}"))

    def clock_skew_s(self) -> float | None:
        """Return how far the server's clock is ahead of the local one, in seconds; None if it is unknown."""
        from datetime import UTC, datetime
        from email.utils import parsedate_to_datetime

        date = self._send("GET", "/api/v1/user").headers.get("date")
        try:
            return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds() if date else None
        except (TypeError, ValueError):
            return None

    def _send(self, method: str, path: str, json: dict[str, object] | None = None) -> Response:
        return send_request(method, f"{self.host}{path}", token=self._token, timeout_s=self._timeout_s, json=json)

    def _document(self, response: Response, doing: str) -> dict[str, Any]:
        document = response.json()
        if response.status < 300 and isinstance(document, dict):
            return document
        raise dagshub_error(response.status, f"{self.host}: could not {doing}")

    def _repository(self, slug: str, document: dict[str, Any]) -> Repository:
        permissions = document.get("permissions") or {}
        return Repository(
            slug=document.get("full_name") or slug,
            private=bool(document.get("private")),
            may_pull=bool(permissions.get("pull", True)),
            may_push=bool(permissions.get("push", permissions.get("admin", True))),
            is_admin=bool(permissions.get("admin")),
        )


def dagshub_error(status: int, what: str) -> CryptomlError:
    """Return the error for an unsuccessful status of DagsHub; `what`: the address and the failed action."""
    if status == 401:
        return AccessError(f"{what}: the token is invalid or has expired (401).", hint=TOKEN_HINT)
    if status == 403:
        return AccessError(
            f"{what}: the token lacks the permission (403).", hint="ask the repository's owner for write permission"
        )
    if status in (408, 429) or (status >= 500 and status != 507):
        return UnavailableError(
            f"{what}: DagsHub is temporarily unavailable ({status}).", hint="try again in a few minutes"
        )
    if status in (413, 507):
        return UnavailableError(
            f"{what}: the storage is full ({status}).", hint="free or buy space in DagsHub's storage settings"
        )
    return ConfigError(f"{what}: the server is not DagsHub's API ({status}).", hint="check DAGSHUB_CLIENT_HOST")


def check_token_form(token: str) -> None:
    """Raise ConfigError for a token with spaces, quotes or line breaks; the message does not contain the token."""
    if not token:
        raise ConfigError("the DagsHub token is empty.", hint="set DAGSHUB_TOKEN in .env")
    if token != token.strip() or re.search(r"[\s'\"`]", token) or not token.isascii() or not token.isprintable():
        raise ConfigError(
            "the DagsHub token contains spaces, quotes or other invalid characters.",
            hint="copy it again, without quotes",
        )


def check_slug(slug: str) -> None:
    """Raise UsageError unless `slug` is owner/name."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", slug, re.ASCII):
        raise UsageError(
            f"{slug}: must be OWNER/NAME, with letters, digits, dots and dashes.",
            hint="cryptoml setup-remotes --repo OWNER/NAME",
        )
