"""One HTTP request with short limits, and what went wrong with it in words. No retries and no redirects.

Sent by the dagshub client's own request function; its `init` and its token cache are never touched.
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
    """What a server said: the status, the beginning of the body as text, and headers by small letters."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        import json

        try:
            return json.loads(self.text)
        except ValueError:
            return None


def check_secret_address(url: str) -> None:
    """Raise AccessError where a secret would go over a plain connection, ConfigError where `url` is no address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{url}: this is not an address.", hint="DagsHub's begins with https://") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{url}: this is not an address.", hint="DagsHub's begins with https://")
    if "@" in parts.netloc:
        raise ConfigError("an address holds a user name or a password.", hint="take it out; the token goes to .env")
    if parts.scheme == "http" and not is_loopback(host):
        raise AccessError(f"{url}: a token does not go over a plain http connection.", hint="use https://")


def send_request(
    method: str,
    url: str,
    *,
    timeout_s: float,
    token: str | None = None,
    basic: tuple[str, str] | None = None,
    json: Mapping[str, object] | None = None,
) -> Response:
    """One request; any status is an answer. Raises UnavailableError, or ConfigError for an untrusted certificate.

    token goes as Bearer, basic as user and password; neither is in any message.
    """
    # Before the imports: with such an address in the environment, httpx refuses to be imported by dagshub.
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
        answer = run_with_timeout(timeout_s + 1.0, send)
    except (TimeoutError, httpx.TimeoutException):
        raise UnavailableError(
            f"{_host(url)} does not answer within {timeout_s:g} s.", hint="check the network, or try again later"
        ) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError):
        raise ConfigError(f"{_host(url)}: this address or its credentials cannot be sent.") from None
    except httpx.HTTPError as error:
        if "certificate" in str(error).lower():
            raise ConfigError(
                f"{_host(url)}: the certificate is not trusted.", hint="name your authority's file in SSL_CERT_FILE"
            ) from None
        raise proxies.connection_error(url, error, reason(error)) or UnavailableError(
            f"{_host(url)}: {reason(error)}.", hint="check the address and the network"
        ) from None
    refused = proxies.status_error(url, answer.status)
    if refused is not None:
        raise refused
    return answer


def _host(url: str) -> str:
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2] or url
