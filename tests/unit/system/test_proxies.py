"""Proxies from the environment, and the messages that name them."""

from __future__ import annotations

import pytest

from cryptoml.errors import ConfigError
from cryptoml.system.proxies import bypass_hint, check_addresses, check_socks, proxy_of


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("http://proxy.example.org:3128", "http://proxy.example.org:3128"),
        ("proxy.example.org:3128", "http://proxy.example.org:3128"),
        ("http://ada:secret@proxy.example.org:3128/", "http://proxy.example.org:3128"),
        ("ada:secret@proxy.example.org", "http://proxy.example.org"),
        ("socks5h://ada:se/cr@t@[::1]:1080", "socks5h://[::1]:1080"),
        # Wrong, and for the client to refuse; here it is only shown.
        ("http://ada:secret@proxy.example.org:port", "http://proxy.example.org:port"),
    ],
)
def test_a_proxy_is_shown_without_user_name_and_password(
    named: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", named)
    monkeypatch.setenv("no_proxy", "internal.example.org")
    assert proxy_of("https://dagshub.com/api") == shown
    assert proxy_of("https://internal.example.org/") is None


def test_the_hint_keeps_bypassed_hosts_and_uses_the_effective_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    url = "http://mlflow.internal:5000/api"
    assert " NO_PROXY=mlflow.internal cryptoml doctor" in bypass_hint(url)
    monkeypatch.setenv("NO_PROXY", "a.example.org")
    assert " NO_PROXY=a.example.org,mlflow.internal cryptoml doctor" in bypass_hint(url)
    monkeypatch.setenv("no_proxy", "b.example.org")
    hint = bypass_hint(url)
    assert " no_proxy=b.example.org,mlflow.internal cryptoml doctor" in hint
    assert proxy_of(url) is not None
    monkeypatch.setenv("no_proxy", hint.partition("no_proxy=")[2].split()[0])
    assert proxy_of(url) is None


@pytest.mark.parametrize("proxy", ["127.0.0.1:31x8", "http://ada:s3cret@proxy.example.org:99999", "http://", ":3128"])
def test_an_invalid_proxy_address_is_reported_with_its_variable(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY=.* invalid proxy address") as caught:
        check_addresses()
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("https_proxy", "ada:s3cret@proxy.example.org:3128")
    check_addresses()


def test_a_socks_proxy_without_its_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://ada:s3cret@127.0.0.1:1080")
    monkeypatch.setattr("cryptoml.system.proxies.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="ALL_PROXY: a SOCKS proxy needs") as caught:
        check_socks()
    assert caught.value.hint == "pip install 'httpx[socks]'"
    assert "s3cret" not in str(caught.value)
    monkeypatch.setattr("cryptoml.system.proxies.find_spec", lambda name: object())
    check_socks()
