"""Copy objects between the DVC cache and a remote, and verify that the remote lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import ConfigError, CryptomlError, UnavailableError
from cryptoml.remotes.dagshub import dagshub_error
from cryptoml.remotes.dvc.errors import dvc_os_error, remote_error
from cryptoml.remotes.dvc.pins import Pin
from cryptoml.remotes.dvc.project import DvcRemote
from cryptoml.remotes.dvc.redirects import same_host_only
from cryptoml.remotes.dvc.session import open_repo

if TYPE_CHECKING:
    from dvc.data_cloud import Remote
    from dvc.repo import Repo

# DagsHub throttles many concurrent writes.
JOBS = 4
OnDone = Callable[[int], None]


@dataclass(frozen=True)
class Session:
    """An open DVC project and one of its remotes."""

    repo: Repo
    data_remote: Remote
    remote: DvcRemote

    def cache_odb(self, pin: Pin) -> Any:
        """Return the cache for objects of this kind of pin."""
        return self.repo.cache.legacy if pin.is_legacy else self.repo.cache.local

    def remote_odb(self, pin: Pin) -> Any:
        """Return the remote's object store for this kind of pin."""
        return self.data_remote.legacy_odb if pin.is_legacy else self.data_remote.odb


@contextmanager
def session(folder: Path, remote: DvcRemote) -> Iterator[Session]:
    """Open a remote with its credentials, even if they are not in DVC's configuration.

    Raises ConfigError for a missing driver or an invalid option, AccessError for missing credentials.
    """
    config: dict[str, Any] = {}
    if remote.is_http and remote.credentials:
        user, password = remote.credentials
        config = {"remote": {remote.name: {"url": remote.url, "auth": "basic", "user": user, "password": password}}}
    with open_repo(folder, config) as repo:
        try:
            data_remote = repo.cloud.get_remote(remote.name)
            same_host_only(data_remote.fs)
            is_versioned = data_remote.worktree or data_remote.fs.version_aware
        except CryptomlError:
            raise
        except Exception as error:  # DVC raises any error of a driver; it is translated
            raise remote_error(error, url=remote.address, doing="open the DVC remote") from error
        if is_versioned:
            raise ConfigError(
                f"DVC remote {remote.name}: cloud versioning (version_aware, worktree) is not supported.",
                hint="use dvc push and dvc pull with this remote",
            )
        yield Session(repo, data_remote, remote)


def missing_objects(at: Session, pins: Sequence[Pin]) -> list[Pin]:
    """Return the pins whose object the remote lacks or has with another size; sends a request for each object."""
    unique = {(pin.md5, pin.is_legacy): pin for pin in pins}
    paths = [at.remote_odb(pin).oid_to_path(pin.md5) for pin in unique.values()]
    sizes = _http_sizes(at, paths) if at.remote.is_http else _sizes(at, paths)
    missing = set()
    for key, size in zip(unique, sizes, strict=True):
        pin = unique[key]
        cached = Path(at.cache_odb(pin).oid_to_path(pin.md5))
        expected = cached.stat().st_size if cached.is_file() else pin.size
        is_wrong = size is not None and expected is not None and 0 <= size != expected and not pin.is_folder
        if size is None or is_wrong:
            missing.add(key)
    return [pin for pin in pins if (pin.md5, pin.is_legacy) in missing]


def send(folder: Path, pins: Sequence[Pin], remote: DvcRemote, *, on_done: OnDone) -> int:
    """Copy objects that the remote lacks from the cache; return the number of objects sent.

    Folder lists are sent last, after all their files. Raises AccessError if the remote refuses access,
    UnavailableError if it is unavailable or full, or does not list an object after the transfer.
    """
    with session(folder, remote) as at:
        missing = missing_objects(at, pins)
        lost = [pin for pin in missing if not Path(at.cache_odb(pin).oid_to_path(pin.md5)).is_file()]
        if lost:
            raise UnavailableError(
                f"{_describe(lost)}: neither in the local DVC cache nor on remote {remote.name} ({remote.address}).",
                hint="run cryptoml push-data on the machine that has the file",
            )
        sent = 0
        for part in ([pin for pin in missing if not pin.is_folder], [pin for pin in missing if pin.is_folder]):
            sent += _copy(at, part, to_remote=True, on_done=on_done)
        unlisted = missing_objects(at, missing)
    if unlisted:
        raise UnavailableError(
            f"{_describe(unlisted)}: was sent, but remote {remote.name} ({remote.address}) does not list it.",
            hint="run cryptoml push-data again; check the storage behind the remote",
        )
    return sent


def fetch(folder: Path, pins: Sequence[Pin], remote: DvcRemote, *, on_done: OnDone) -> int:
    """Copy objects from the remote to the cache; return their number. An interruption keeps copied objects."""
    with session(folder, remote) as at:
        return _copy(at, pins, to_remote=False, on_done=on_done)


def _copy(at: Session, pins: Sequence[Pin], *, to_remote: bool, on_done: OnDone) -> int:
    from fsspec.callbacks import Callback

    class Progress(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            on_done(inc)

    doing = "write to it" if to_remote else "read from it"
    copied, errors = 0, {}
    for legacy in (False, True):
        by_md5 = {pin.md5: pin for pin in pins if pin.is_legacy == legacy}
        if not by_md5:
            continue
        pin = next(iter(by_md5.values()))
        cache, far = at.cache_odb(pin), at.remote_odb(pin)
        source, target = (cache, far) if to_remote else (far, cache)
        failed: dict[str, BaseException] = {}
        try:
            target.add(
                [source.oid_to_path(md5) for md5 in by_md5],
                source.fs,
                list(by_md5),
                check_exists=False,
                verify=not to_remote,
                batch_size=JOBS,
                callback=Progress(),
                on_error=failed.__setitem__,
            )
        except CryptomlError:
            raise
        except Exception as error:  # DVC raises any error of a driver; it is translated
            raise _cache_error(at, error) or remote_error(error, url=at.remote.address, doing=doing) from error
        if not to_remote:
            lost = [md5 for md5 in by_md5 if not Path(cache.oid_to_path(md5)).is_file()]
            failed = {md5: failed.get(md5, OSError("the received content does not match the pin")) for md5 in lost}
        copied += len(by_md5) - len(failed)
        errors.update({by_md5[md5].path: error for md5, error in failed.items()})
    if errors:
        raise _copy_error(at, errors, doing)
    return copied


def _cache_error(at: Session, error: BaseException) -> CryptomlError | None:
    """Translate an error of the local cache; return None if the error is the remote's."""
    if not isinstance(error, OSError) or not error.filename:
        return None
    if Path(error.filename).is_relative_to(at.repo.cache.local_cache_dir):
        return dvc_os_error(error, Path(at.repo.root_dir))
    return None


def _copy_error(at: Session, errors: dict[Path, BaseException], doing: str) -> CryptomlError:
    remote = at.remote
    statuses = [getattr(error, "status", None) for error in errors.values()]
    status = next((number for number in statuses if isinstance(number, int)), None)
    path, first = next(iter(errors.items()))
    more = f" and {len(errors) - 1:,} more" if len(errors) > 1 else ""
    if status is not None:
        return dagshub_error(status, f"{path}{more}: DVC remote {remote.address}: could not {doing}")
    cache_error = _cache_error(at, first)
    if cache_error is not None:
        return cache_error
    translated = remote_error(first, url=remote.address, doing=f"{doing} ({path}{more})")
    if isinstance(translated, UnavailableError) and "disk" not in translated.fact:
        return UnavailableError(translated.fact, hint="try again: transferred objects are kept")
    return translated


def _sizes(at: Session, paths: list[str]) -> list[int | None]:
    """Return the size of each object in bytes, -1 if the remote does not report it; None if it is missing."""
    from cryptoml.tracking.store.server_probe import run_with_timeout

    sizes: list[int | None] = []
    timeout_s = 60.0 + len(paths)
    try:
        results = run_with_timeout(
            timeout_s, lambda: at.data_remote.fs.info(paths, batch_size=JOBS, return_exceptions=True)
        )
    except TimeoutError:
        raise UnavailableError(
            f"{at.remote.address}: no response within {timeout_s:g} s.", hint="check the network, or try again later"
        ) from None
    except CryptomlError:
        raise
    except Exception as error:  # DVC raises any error of a driver; it is translated
        raise remote_error(error, url=at.remote.address, doing="list its files") from error
    for result in results:
        if isinstance(result, FileNotFoundError | NotADirectoryError):
            sizes.append(None)
        elif isinstance(result, BaseException):
            raise remote_error(result, url=at.remote.address, doing="list its files") from result
        else:
            size = result.get("size")
            sizes.append(size if isinstance(size, int) else -1)
    return sizes


def _http_sizes(at: Session, urls: list[str]) -> list[int | None]:
    import asyncio

    from dvc_objects.executors import batch_coros
    from fsspec.asyn import get_loop

    http = at.data_remote.fs.fs

    async def head(url: str) -> tuple[int, str | None]:
        client = await http.set_session()
        headers = {"Accept-Encoding": "identity"}
        async with client.head(http.encode_url(url), allow_redirects=True, headers=headers) as response:
            return response.status, response.headers.get("Content-Length")

    tasks = batch_coros([head(url) for url in urls], batch_size=JOBS, return_exceptions=True)
    sizes: list[int | None] = []
    for result in asyncio.run_coroutine_threadsafe(tasks, get_loop()).result():
        if isinstance(result, BaseException):
            raise remote_error(result, url=at.remote.address, doing="list its files") from result
        status, size = result
        if status >= 300 and status != 404:
            raise dagshub_error(status, f"DVC remote {at.remote.address}: could not list its files")
        sizes.append(None if status == 404 else int(size) if size and size.isdigit() else -1)
    return sizes


def _describe(pins: Sequence[Pin]) -> str:
    first = pins[0]
    size = f"{first.size:,} bytes, " if first.size is not None else ""
    more = f" and {len(pins) - 1:,} more" if len(pins) > 1 else ""
    return f"{first.path} ({size}md5 {first.md5}){more}"
