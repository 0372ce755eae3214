"""Which host a secret may be sent to: one that is named in the same place as the secret, or one that is trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from cryptoml.errors import AccessError

ENVIRONMENT, DOTENV = "the environment", ".env"
DEFAULT_HOST = "https://dagshub.com"
# Variables whose value is, or begins with, a host that secrets are sent to.
HOST_VARIABLES = ("DAGSHUB_CLIENT_HOST", "MLFLOW_TRACKING_URI")
TRUST_VARIABLE = "CRYPTOML_TRUSTED_HOSTS"
_PORTS = {"https": 443, "http": 80, "ssh": 22, "webdavs": 443, "webdav": 80}
_AUTHORITY = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


def host_key(address: str) -> str:
    """`host:port` in lower case of a URL or of HOST[:PORT]; empty where libraries might disagree about the host."""
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
    """`address` without spaces around it and with its scheme in lower case.

    Libraries skip these and ignore the case of the scheme. A check of the text itself would miss such an address.
    Raises ValueError, which does not repeat the address, where its host or port is malformed.
    """
    stripped = address.strip()
    if not stripped.isprintable():
        raise ValueError("must not contain control characters")
    try:
        urlsplit(stripped).port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("this is not an address: its host or port is malformed") from None
    scheme, mark, rest = stripped.partition(":")
    return f"{scheme.lower()}{mark}{rest}" if mark and scheme.isalnum() else stripped


def host_keys(addresses: Iterable[str]) -> frozenset[str]:
    """The keys of all addresses that have one."""
    return frozenset(key for key in map(host_key, addresses) if key)


@dataclass(frozen=True)
class Origins:
    """Where settings come from.

    places: variable -> the places that give it the value in effect; hosts: place -> the hosts that it names;
    trusted: hosts that may get any secret. Hosts are keys as `host_key` makes them.
    """

    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()

    def of(self, variable: str) -> frozenset[str]:
        """The places that give the variable its value; empty for a default."""
        return self.places.get(variable, frozenset())

    def trusting(self, *addresses: str) -> Origins:
        """The same with more trusted hosts."""
        return replace(self, trusted=self.trusted | host_keys(addresses))


def read_origins(
    environ: Mapping[str, str], dotenv: Mapping[str, str], variables: Iterable[str], *, trusted: str
) -> Origins:
    """Where each variable comes from. The mappings have upper-case names and no empty values."""
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
    return Origins(places, hosts, host_keys(one.strip() for one in trusted.split(",") if one.strip()))


def may_receive(url: str, places: Iterable[str], origins: Origins) -> bool:
    """Whether a secret from these places may be sent to the host of `url`: the rule.

    The host must be https://dagshub.com, be trusted, or be named in one of the secret's own places. Loopback is no
    exception: any program of this machine can listen there.
    """
    key = host_key(url)
    allowed = {host_key(DEFAULT_HOST)} | origins.trusted
    for place in places:
        allowed |= origins.hosts.get(place, frozenset())
    return bool(key) and key in allowed


def check_host(url: str, *, secret: str, places: Iterable[str], named_by: str, origins: Origins, hint: str) -> None:
    """Raise AccessError, before anything is sent, unless `may_receive`.

    secret: its name; named_by: what names the host, for the message; hint: how to name both in one place.
    """
    places = frozenset(places)
    if may_receive(url, places, origins):
        return
    key = host_key(url)
    shown = key.removesuffix(":443") or "an address that is ambiguous"
    trust = f"; or, to trust this host, add {shown} to {TRUST_VARIABLE} in the environment" if key else ""
    raise AccessError(
        f"{secret} comes from {' and '.join(sorted(places)) or 'another place'}, but its destination {shown} is named "
        f"by {named_by}. Nothing was sent.",
        hint=f"{hint}{trust}",
    )
