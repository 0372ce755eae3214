"""HTTP proxies from the environment: which requests use them, and errors that name the proxy.

A failing proxy looks like a failing server. All clients used here (requests, httpx, aiohttp, git) read the same
variables, so this module can determine whether a proxy was involved.
"""

from __future__ import annotations

import os
import re
import shlex
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError

# Statuses that may be sent by the proxy itself.
PROXY_STATUSES = (403, 407, 502, 503, 504)


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for `url`, without user name and password; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    host = parts.hostname or ""
    if proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    scheme, _, rest = proxy.rpartition("://")
    # No default port is added, because it depends on the client.
    return f"{scheme or 'http'}://{rest.rpartition('@')[2].partition('/')[0]}"


def check_addresses() -> None:
    """Raise ConfigError for a proxy in the environment with an invalid address."""
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
            raise ConfigError(f"{shown}: invalid proxy address.", hint="write it like http://HOST:PORT")


def check_socks() -> None:
    """Raise ConfigError if the environment names a SOCKS proxy but httpx lacks the package for it."""
    named = [kind for kind, proxy in getproxies().items() if kind != "no" and proxy.startswith("socks")]
    if named and find_spec("socksio") is None:
        raise ConfigError(
            f"{named[0].upper()}_PROXY: a SOCKS proxy needs the package socksio, which is not installed.",
            hint="pip install 'httpx[socks]'",
        )


def connection_error(url: str, error: Exception, reason: str) -> CryptomlError | None:
    """Return the error for a connection that failed through a proxy; None if no proxy was involved.

    reason: the cause, for the message; replaced by the status if the proxy refused the tunnel.
    """
    proxy = proxy_of(url)
    if proxy is None:
        return None
    refusal = re.search(r"(?:^|failed: )([45]\d\d)\b", str(error))
    if refusal and refusal[1] == "407":
        return _unauthenticated(url, proxy)
    if refusal:
        reason = f"the proxy returned {refusal[1]}"
    return UnavailableError(f"{_host(url)}: not reachable through the proxy {proxy}: {reason}.", hint=bypass_hint(url))


def status_error(url: str, status: int) -> CryptomlError | None:
    """Return the error for a status that the proxy may have sent; None if it is from the server.

    Over https a status is always from the server, because the proxy only forwards encrypted bytes.
    """
    proxy = proxy_of(url)
    if proxy is None or not url.startswith("http://") or status not in PROXY_STATUSES:
        return None
    if status == 407:
        return _unauthenticated(url, proxy)
    kind = AccessError if status == 403 else UnavailableError
    return kind(
        f"{_host(url)}: status {status} through the proxy {proxy}, from the proxy or from the server.",
        hint=bypass_hint(url),
    )


def bypass_hint(url: str) -> str:
    """Return the hint to bypass the proxy for the host of `url`, in addition to hosts that already bypass it."""
    # Clients prefer the lower-case variable, so NO_PROXY has no effect if no_proxy is set.
    name = "no_proxy" if os.environ.get("no_proxy") else "NO_PROXY"
    hosts = [os.environ.get(name), urlsplit(url).hostname]
    bypassed = shlex.quote(",".join(host for host in hosts if host))
    return f"check the proxy, or bypass it for this host: {name}={bypassed} cryptoml doctor network"


def _unauthenticated(url: str, proxy: str) -> AccessError:
    return AccessError(
        f"{_host(url)}: the proxy {proxy} requires a user name and password (407).",
        hint="add them to HTTP_PROXY and HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT",
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url
