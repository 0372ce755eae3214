"""The proxy of an address, as messages show it."""

from __future__ import annotations

import pytest

from cryptoml.system.proxies import proxy_of


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
def test_a_proxy_is_shown_without_its_password(named: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", named)
    monkeypatch.setenv("no_proxy", "internal.example.org")
    assert proxy_of("https://dagshub.com/api") == shown
    assert proxy_of("https://internal.example.org/") is None
