"""Send a single HTTP request with short timeouts, without retries and redirects.

Uses the request function of the dagshub client, but not its `init` or token cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptoml.errors import AccessError, ConfigError, UnavailableError
from cryptoml.system import proxies
from cryptoml.tracking.store.server_probe import is_loopback, reason, run_with_timeout

BODY_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Response:
    """A server's response: status, the first BODY_LIMIT characters of the body, headers by lower-case name."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the parsed JSON body; None if it is not JSON."""
        import json

        try:
            return json.loads(self.text)
        except ValueError:
            return None


def check_secret_address(url: str) -> None:
    """Raise AccessError if a secret would be sent over plain http, ConfigError if `url` is not a valid address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{url}: is not a valid address.", hint="DagsHub's address starts with https://") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{url}: is not a valid address.", hint="DagsHub's address starts with https://")
    if "@" in parts.netloc:
        raise ConfigError(
            "the address contains a user name or a password.", hint="remove it; set DAGSHUB_TOKEN in .env"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise AccessError(f"{url}: tokens are not sent over plain http.", hint="use https://")


def send_request(
    method: str,
    url: str,
    *,
    timeout_s: float,
    token: str | None = None,
    basic: tuple[str, str] | None = None,
    json: Mapping[str, object] | None = None,
) -> Response:
    """Send a request and return the response, whatever its status.

    token: sent as Bearer token. basic: user and password. Neither appears in a message. Raises UnavailableError if
    there is no response, ConfigError for an untrusted certificate or an invalid address.
    """
    # Check before the imports: with an invalid proxy address, importing dagshub fails in httpx.
    proxies.check_addresses()
    proxies.check_socks()
    import httpx
    from dagshub.auth.token_auth import HTTPBearerAuth
    from dagshub.common.helpers import http_request

    if token or basic:
        check_secret_address(url)

    def send() -> Response:
        response = http_request(
            method,
            url,
            auth=HTTPBearerAuth(token) if token else basic,
            json=json,
            timeout=timeout_s,
            follow_redirects=False,
        )
        return Response(response.status_code, response.text[:BODY_LIMIT], dict(response.headers.items()))

    try:
        response = run_with_timeout(timeout_s + 1.0, send)
    except (TimeoutError, httpx.TimeoutException):
        raise UnavailableError(
            f"{_host(url)} does not respond within {timeout_s:g} s.", hint="check the network, or try again later"
        ) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError):
        raise ConfigError(f"{_host(url)}: the address or the credentials contain invalid characters.") from None
    except httpx.HTTPError as error:
        if "certificate" in str(error).lower():
            raise ConfigError(
                f"{_host(url)}: the certificate is not trusted.", hint="set your CA file in SSL_CERT_FILE"
            ) from None
        raise proxies.connection_error(url, error, reason(error)) or UnavailableError(
            f"{_host(url)}: {reason(error)}.", hint="check the address and the network"
        ) from None
    refused = proxies.status_error(url, response.status)
    if refused is not None:
        raise refused
    return response


def _host(url: str) -> str:
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2] or url
