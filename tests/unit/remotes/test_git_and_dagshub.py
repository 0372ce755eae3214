"""Errors of git and DagsHub are translated with a hint; parsing of addresses."""

from __future__ import annotations

import pytest

from cryptoml.errors import AccessError, ConfigError, UnavailableError, UsageError
from cryptoml.remotes.dagshub import check_slug, check_token_form, dagshub_error
from cryptoml.remotes.git_remote import git_error, slug_at, without_credentials, without_secrets
from cryptoml.remotes.http import check_secret_address

HOST = "https://dagshub.com"


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://dagshub.com/ada/coins.git", "ada/coins"),
        ("https://ada:secret@dagshub.com/ada/coins", "ada/coins"),
        ("https://dagshub.com/ada/coins/", "ada/coins"),
        ("https://dagshub.com.evil.org/ada/coins.git", None),
        ("https://dagshub.com:8443/ada/coins.git", None),
        ("git@github.com:ada/coins.git", None),
        ("../somewhere", None),
    ],
)
def test_repository_of_an_address(url: str, slug: str | None) -> None:
    assert slug_at(url, HOST) == slug


def test_secrets_in_addresses_are_masked() -> None:
    assert without_credentials("https://ada:s3cret@h.org/a/b.git") == "https://h.org/a/b.git"
    assert without_secrets("fatal: https://s3cret:s3cret@h.org/a not found") == "fatal: https://***@h.org/a not found"


@pytest.mark.parametrize(
    ("text", "kind", "hint"),
    [
        ("fatal: could not read Username for 'https://dagshub.com': terminal prompts disabled", AccessError, "setup"),
        ("fatal: Authentication failed for 'https://dagshub.com/a/b.git/'", AccessError, "setup"),
        ("error: The requested URL returned error: 403", AccessError, "owner"),
        ("fatal: repository 'https://dagshub.com/a/b.git/' not found", AccessError, "--create"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", UnavailableError, "network"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 503", UnavailableError, "later"),
        ("error: failed to push some refs", ConfigError, ""),
    ],
)
def test_errors_of_git(text: str, kind: type[Exception], hint: str) -> None:
    found = git_error(f"remote: hello\n{text}\n", "push")
    assert type(found) is kind
    assert hint in found.hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AccessError), (403, AccessError), (404, ConfigError), (429, UnavailableError), (503, UnavailableError),
     (507, UnavailableError), (413, UnavailableError), (302, ConfigError)],
)  # fmt: skip
def test_error_of_each_http_status(status: int, kind: type[Exception]) -> None:
    error = dagshub_error(status, "h: could not connect")
    assert type(error) is kind
    assert str(status) in error.fact


@pytest.mark.parametrize("token", ["", " k3y", "k3 y", "k3y\n", "'k3y'", "k3y\u00e9", '"'])
def test_invalid_tokens_are_rejected(token: str) -> None:
    with pytest.raises(ConfigError) as found:
        check_token_form(token)
    assert "k3" not in str(found.value)


def test_tokens_are_not_sent_over_plain_http() -> None:
    for url in ("https://dagshub.com/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:8/x"):
        check_secret_address(url)
    with pytest.raises(AccessError, match="plain http"):
        check_secret_address("http://dagshub.com/x")
    for url in ("ftp://x/y", "http:///x", "http://[::1/x", "https://u:p@h/x"):
        with pytest.raises(ConfigError):
            check_secret_address(url)


def test_a_repository_is_owner_and_name() -> None:
    check_slug("ada/coins-2.0")
    for slug in ("coins", "a/b/c", "a /b", "../x"):
        with pytest.raises(UsageError):
            check_slug(slug)
