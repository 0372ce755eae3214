"""Prevent DVC's http requests, which carry credentials and files, from following redirects to another host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cryptoml.errors import AccessError

if TYPE_CHECKING:
    import aiohttp


class RedirectRefusedError(AccessError):
    """A server redirected to another host. Not an aiohttp error, because DVC would retry those."""


def same_host_only(fs: Any) -> None:
    """Make DVC's file system of an http remote reject redirects to another host; others are unchanged.

    aiohttp would send the session's credentials to that host. Must be called before the first request.
    """
    from dvc_http import HTTPFileSystem

    if isinstance(fs, HTTPFileSystem):
        fs.fs_args["client_kwargs"]["trace_configs"] = [_tracing()]


def _tracing() -> aiohttp.TraceConfig:
    import aiohttp

    async def refuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        target = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
        url = params.response.url
        if url.join(type(url)(target)).origin() != url.origin():
            raise RedirectRefusedError(
                f"{url.origin()}: redirects to another host ({params.response.status}); nothing was sent there.",
                hint="check the address of the DVC remote: dvc remote list",
            )

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(refuse)
    return tracing
