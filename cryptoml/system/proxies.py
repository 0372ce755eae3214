"""HTTP proxies named in the environment: which requests they get, and what to say when one fails.

A proxy that is down or refuses looks like a fault of the server behind it. Every client used here (requests, httpx,
aiohttp, git) reads the same variables, so one place can tell whether a proxy was involved.
"""

from __future__ import annotations

import os
import re
import shlex
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError

# Answers that a proxy gives in its own name as often as the server behind it.
PROXY_STATUSES = (403, 407, 502, 503, 504)


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for `url`, without user and password; None where none applies."""
    parts = urlsplit(url)
    proxies = getproxies()
    host = parts.hostname or ""
    if proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    scheme, _, rest = proxy.rpartition("://")
    # Without a port, as it is written: the default depends on the client.
    return f"{scheme or 'http'}://{rest.rpartition('@')[2].partition('/')[0]}"


def check_addresses() -> None:
    """Raise ConfigError for a proxy in the environment whose address no client can use."""
    for kind, proxy in getproxies().items():
        if kind not in ("http", "https", "all"):
            continue
        address = proxy if "://" in proxy else f"http://{proxy}"
        shown = f"{kind.upper()}_PROXY={address.rpartition('@')[2].rpartition('://')[2]}"
        try:
            parts = urlsplit(address)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(f"{shown}: this is not the address of a proxy.", hint="write it like http://HOST:PORT")


def check_socks() -> None:
    """Raise ConfigError where the environment names a SOCKS proxy and httpx, which reads it, cannot use one."""
    named = [kind for kind, proxy in getproxies().items() if kind != "no" and proxy.startswith("socks")]
    if named and find_spec("socksio") is None:
        raise ConfigError(
            f"{named[0].upper()}_PROXY: names a SOCKS proxy, for which the package socksio is not installed.",
            hint="pip install 'httpx[socks]'",
        )


def connection_error(url: str, error: Exception, reason: str) -> CryptomlError | None:
    """The error for a connection that failed on its way through a proxy; None where no proxy was involved.

    `reason` says why; it is replaced where the client reports the status with which the proxy refused a tunnel.
    """
    proxy = proxy_of(url)
    if proxy is None:
        return None
    refusal = re.search(r"(?:^|failed: )([45]\d\d)\b", str(error))
    if refusal and refusal[1] == "407":
        return _unauthenticated(url, proxy)
    if refusal:
        reason = f"it answered {refusal[1]}"
    return UnavailableError(f"{_host(url)}: not reached through the proxy {proxy}: {reason}.", hint=bypass_hint(url))


def status_error(url: str, status: int) -> CryptomlError | None:
    """The error for a status that came through a proxy and may be the proxy's own; None otherwise.

    A status that came over https is the server's own: the proxy only passes encrypted bytes on.
    """
    proxy = proxy_of(url)
    if proxy is None or not url.startswith("http://") or status not in PROXY_STATUSES:
        return None
    if status == 407:
        return _unauthenticated(url, proxy)
    kind = AccessError if status == 403 else UnavailableError
    return kind(
        f"{_host(url)}: the answer through the proxy {proxy} is {status}, from the proxy or from the server.",
        hint=bypass_hint(url),
    )


def bypass_hint(url: str) -> str:
    """How to reach the host of `url` without the proxy; hosts that are exempt already stay so."""
    # Clients prefer the lower-case variable, so NO_PROXY has no effect where no_proxy is set.
    name = "no_proxy" if os.environ.get("no_proxy") else "NO_PROXY"
    hosts = [os.environ.get(name), urlsplit(url).hostname]
    exempt = shlex.quote(",".join(host for host in hosts if host))
    return f"check the proxy, or exempt the host from it: {name}={exempt} cryptoml doctor network"


def _unauthenticated(url: str, proxy: str) -> AccessError:
    return AccessError(
        f"{_host(url)}: the proxy {proxy} asks for a user name and password (407).",
        hint="name them before the host in HTTP_PROXY and HTTPS_PROXY: USER:PASSWORD@HOST:PORT",
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url
