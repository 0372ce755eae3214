"""Decides which hosts may receive a secret: those named by the secret's own source, and trusted ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from cryptoml.errors import AccessError

ENVIRONMENT, DOTENV = "the environment", ".env"
DEFAULT_HOST = "https://dagshub.com"
# Variables with the address of a host that secrets are sent to.
HOST_VARIABLES = ("DAGSHUB_CLIENT_HOST", "MLFLOW_TRACKING_URI")
TRUST_VARIABLE = "CRYPTOML_TRUSTED_HOSTS"
_PORTS = {"https": 443, "http": 80, "ssh": 22, "webdavs": 443, "webdav": 80}
_AUTHORITY = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


def host_key(address: str) -> str:
    """Return `host:port`, in lower case, of a URL or HOST[:PORT]; empty if libraries may disagree about the host."""
    url = address if "://" in address else f"https://{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    if re.search(r"[\s\\\x00-\x1f]", url) or not _AUTHORITY.fullmatch(parts.netloc):
        return ""
    host = (parts.hostname or "").lower()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def normalize_address(address: str) -> str:
    """Return `address` without surrounding whitespace and with its scheme in lower case.

    Libraries ignore both, so that checks of the unmodified text could be bypassed. Raises ValueError, without the
    address in the message, if the host or port is malformed.
    """
    stripped = address.strip()
    if not stripped.isprintable():
        raise ValueError("must not contain control characters")
    try:
        urlsplit(stripped).port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("invalid address: the host or port is malformed") from None
    scheme, mark, rest = stripped.partition(":")
    return f"{scheme.lower()}{mark}{rest}" if mark and scheme.isalnum() else stripped


def host_keys(addresses: Iterable[str]) -> frozenset[str]:
    """Return the keys of all addresses that have one."""
    return frozenset(key for key in map(host_key, addresses) if key)


@dataclass(frozen=True)
class Origins:
    """Sources of the settings.

    places: variable -> the sources (`.env`, the environment) of its current value; hosts: source -> the hosts that it
    names; trusted: hosts that may receive any secret. Hosts are keys as returned by `host_key`.
    """

    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()

    def of(self, variable: str) -> frozenset[str]:
        """Return the sources of the variable's value; empty for a default."""
        return self.places.get(variable, frozenset())

    def trusting(self, *addresses: str) -> Origins:
        """Return a copy with additional trusted hosts."""
        return replace(self, trusted=self.trusted | host_keys(addresses))


def read_origins(
    environ: Mapping[str, str], dotenv: Mapping[str, str], variables: Iterable[str], *, trusted: str
) -> Origins:
    """Determine the sources of each variable. The mappings must have upper-case names and no empty values."""
    sources = {ENVIRONMENT: environ, DOTENV: dotenv}
    places = {
        name: frozenset(place for place, source in sources.items() if source.get(name) == value)
        for name in variables
        if (value := environ.get(name) or dotenv.get(name))
    }
    hosts = {
        place: host_keys(source[name].strip() for name in HOST_VARIABLES if name in source)
        for place, source in sources.items()
    }
    return Origins(places, hosts, host_keys(host.strip() for host in trusted.split(",") if host.strip()))


def may_receive(url: str, places: Iterable[str], origins: Origins) -> bool:
    """Return whether a secret from these sources may be sent to the host of `url`.

    The host must be https://dagshub.com, trusted, or named by one of the secret's own sources. This includes loopback
    addresses, because any local program can listen on them.
    """
    key = host_key(url)
    allowed = {host_key(DEFAULT_HOST)} | origins.trusted
    for place in places:
        allowed |= origins.hosts.get(place, frozenset())
    return bool(key) and key in allowed


def check_host(url: str, *, secret: str, places: Iterable[str], named_by: str, origins: Origins, hint: str) -> None:
    """Raise AccessError, before anything is sent, unless the host of `url` may receive the secret.

    secret: name of the secret; named_by: what names the host, for the message; hint: how to set both in one place.
    """
    places = frozenset(places)
    if may_receive(url, places, origins):
        return
    key = host_key(url)
    shown = key.removesuffix(":443") or "an ambiguous address"
    trust = f"; or, to trust this host, add {shown} to {TRUST_VARIABLE} in the environment" if key else ""
    raise AccessError(
        f"{secret} comes from {' and '.join(sorted(places)) or 'another place'}, but its destination {shown} is named "
        f"by {named_by}. Nothing was sent.",
        hint=f"{hint}{trust}",
    )
