"""Keeps DVC's http requests, which carry credentials and files, from following a redirect to another host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cryptoml.errors import AccessError

if TYPE_CHECKING:
    import aiohttp


class RedirectRefusedError(AccessError):
    """A server answered with a redirect to another host. Not an aiohttp error: DVC would try those again."""


def same_host_only(fs: Any) -> None:
    """Let DVC's file system of an http remote refuse redirects to another host; others stay as they are.

    aiohttp sends a session's credentials to whatever host it is redirected to. To be called before the first request.
    """
    from dvc_http import HTTPFileSystem

    if isinstance(fs, HTTPFileSystem):
        fs.fs_args["client_kwargs"]["trace_configs"] = [_tracing()]


def _tracing() -> aiohttp.TraceConfig:
    import aiohttp

    async def refuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        target = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
        asked = params.response.url
        if asked.join(type(asked)(target)).origin() != asked.origin():
            raise RedirectRefusedError(
                f"{asked.origin()}: redirects to another host ({params.response.status}). Nothing was sent there.",
                hint="check the address of the DVC remote: dvc remote list",
            )

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(refuse)
    return tracing
