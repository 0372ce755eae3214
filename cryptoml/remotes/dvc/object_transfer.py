"""Objects between the DVC cache and a remote; afterwards, what the remote lists is compared with what was asked for."""

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

# DagsHub throttles many writers at once.
JOBS = 4
OnDone = Callable[[int], None]


@dataclass(frozen=True)
class Session:
    """An open project and one of its remotes."""

    repo: Repo
    far: Remote
    remote: DvcRemote

    def cache_odb(self, pin: Pin) -> Any:
        """The cache that holds objects of this kind of pin."""
        return self.repo.cache.legacy if pin.is_legacy else self.repo.cache.local

    def remote_odb(self, pin: Pin) -> Any:
        """The remote's store for objects of this kind of pin."""
        return self.far.legacy_odb if pin.is_legacy else self.far.odb


@contextmanager
def session(folder: Path, remote: DvcRemote) -> Iterator[Session]:
    """Open a remote; its credentials are used even where they are not in DVC's configuration.

    Raises ConfigError for a missing driver or a wrong option, AccessError for missing credentials.
    """
    config: dict[str, Any] = {}
    if remote.is_http and remote.credentials:
        user, password = remote.credentials
        config = {"remote": {remote.name: {"url": remote.url, "auth": "basic", "user": user, "password": password}}}
    with open_repo(folder, config) as repo:
        try:
            far = repo.cloud.get_remote(remote.name)
            same_host_only(far.fs)
            versioned = far.worktree or far.fs.version_aware
        except CryptomlError:
            raise
        except Exception as error:  # DVC raises whatever a driver raises; translated and raised again
            raise remote_error(error, url=remote.address, doing="open the DVC remote") from error
        if versioned:
            raise ConfigError(
                f"DVC remote {remote.name}: cloud versioning (version_aware, worktree) is not supported.",
                hint="use dvc push and dvc pull with this remote",
            )
        yield Session(repo, far, remote)


def missing_objects(at: Session, pins: Sequence[Pin]) -> list[Pin]:
    """Those whose object the remote lacks, or has with another size: one request for each."""
    unique = {(pin.md5, pin.is_legacy): pin for pin in pins}
    paths = [at.remote_odb(pin).oid_to_path(pin.md5) for pin in unique.values()]
    sizes = _http_sizes(at, paths) if at.remote.is_http else _sizes(at, paths)
    lacking = set()
    for key, size in zip(unique, sizes, strict=True):
        near = at.cache_odb(unique[key]).oid_to_path(unique[key].md5)
        known = Path(near).stat().st_size if Path(near).is_file() else unique[key].size
        wrong = size is not None and known is not None and size >= 0 and size != known and not unique[key].is_folder
        if size is None or wrong:
            lacking.add(key)
    return [pin for pin in pins if (pin.md5, pin.is_legacy) in lacking]


def send(folder: Path, pins: Sequence[Pin], remote: DvcRemote, *, on_done: OnDone) -> int:
    """Copy what the remote lacks from the cache to it; how many objects were sent.

    Folders' lists go last, after all their files. Raises AccessError where the remote refuses, UnavailableError
    where it is away or full, or does not list an object afterwards.
    """
    with session(folder, remote) as at:
        lacking = missing_objects(at, pins)
        lost = [pin for pin in lacking if not Path(at.cache_odb(pin).oid_to_path(pin.md5)).is_file()]
        if lost:
            raise UnavailableError(
                f"{_named(lost)}: neither in the DVC cache here nor on remote {remote.name} ({remote.address}).",
                hint="run cryptoml push-data on the machine that has the file",
            )
        sent = 0
        for part in ([pin for pin in lacking if not pin.is_folder], [pin for pin in lacking if pin.is_folder]):
            sent += _copy(at, part, to_remote=True, on_done=on_done)
        left = missing_objects(at, lacking)
    if left:
        raise UnavailableError(
            f"{_named(left)}: was sent, but remote {remote.name} ({remote.address}) does not list it.",
            hint="run cryptoml push-data again; check the storage behind the remote",
        )
    return sent


def fetch(folder: Path, pins: Sequence[Pin], remote: DvcRemote, *, on_done: OnDone) -> int:
    """Copy objects from the remote to the cache; how many came. What came before an interruption stays."""
    with session(folder, remote) as at:
        return _copy(at, pins, to_remote=False, on_done=on_done)


def _copy(at: Session, pins: Sequence[Pin], *, to_remote: bool, on_done: OnDone) -> int:
    from fsspec.callbacks import Callback

    class Progress(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            on_done(inc)

    doing = "write to it" if to_remote else "read from it"
    copied, faults = 0, {}
    for legacy in (False, True):
        some = {pin.md5: pin for pin in pins if pin.is_legacy == legacy}
        if not some:
            continue
        pin = next(iter(some.values()))
        near, far = at.cache_odb(pin), at.remote_odb(pin)
        source, target = (near, far) if to_remote else (far, near)
        failed: dict[str, BaseException] = {}
        try:
            target.add(
                [source.oid_to_path(md5) for md5 in some],
                source.fs,
                list(some),
                check_exists=False,
                verify=not to_remote,
                batch_size=JOBS,
                callback=Progress(),
                on_error=failed.__setitem__,
            )
        except CryptomlError:
            raise
        except Exception as error:  # DVC raises whatever a driver raises; translated and raised again
            raise _cache_error(at, error) or remote_error(error, url=at.remote.address, doing=doing) from error
        if not to_remote:
            lost = [md5 for md5 in some if not Path(near.oid_to_path(md5)).is_file()]
            failed = {md5: failed.get(md5, OSError("other bytes came than are pinned")) for md5 in lost}
        copied += len(some) - len(failed)
        faults.update({some[md5].path: error for md5, error in failed.items()})
    if faults:
        raise _copy_error(at, faults, doing)
    return copied


def _cache_error(at: Session, error: BaseException) -> CryptomlError | None:
    """What the cache here refused; None where the error comes from the remote."""
    if not isinstance(error, OSError) or not error.filename:
        return None
    if Path(error.filename).is_relative_to(at.repo.cache.local_cache_dir):
        return dvc_os_error(error, Path(at.repo.root_dir))
    return None


def _copy_error(at: Session, faults: dict[Path, BaseException], doing: str) -> CryptomlError:
    remote = at.remote
    statuses = [getattr(one, "status", None) for one in faults.values()]
    status = next((number for number in statuses if isinstance(number, int)), None)
    path, first = next(iter(faults.items()))
    more = f" and {len(faults) - 1:,} more" if len(faults) > 1 else ""
    if status is not None:
        return dagshub_error(status, f"{path}{more}: DVC remote {remote.address}: could not {doing}")
    in_cache = _cache_error(at, first)
    if in_cache is not None:
        return in_cache
    known = remote_error(first, url=remote.address, doing=f"{doing} ({path}{more})")
    if isinstance(known, UnavailableError) and "disk" not in known.fact:
        return UnavailableError(known.fact, hint="run it again: what arrived is kept")
    return known


def _sizes(at: Session, paths: list[str]) -> list[int | None]:
    """The size of each object, -1 where the remote does not tell it; None where it is missing."""
    from cryptoml.tracking.store.server_probe import run_with_timeout

    found: list[int | None] = []
    patience_s = 60.0 + len(paths)
    try:
        answers = run_with_timeout(patience_s, lambda: at.far.fs.info(paths, batch_size=JOBS, return_exceptions=True))
    except TimeoutError:
        raise UnavailableError(
            f"{at.remote.address}: no answer within {patience_s:g} s.", hint="check the network, or try again later"
        ) from None
    except CryptomlError:
        raise
    except Exception as error:  # DVC raises whatever a driver raises; translated and raised again
        raise remote_error(error, url=at.remote.address, doing="list its files") from error
    for answer in answers:
        if isinstance(answer, FileNotFoundError | NotADirectoryError):
            found.append(None)
        elif isinstance(answer, BaseException):
            raise remote_error(answer, url=at.remote.address, doing="list its files") from answer
        else:
            size = answer.get("size")
            found.append(size if isinstance(size, int) else -1)
    return found


def _http_sizes(at: Session, urls: list[str]) -> list[int | None]:
    import asyncio

    from dvc_objects.executors import batch_coros
    from fsspec.asyn import get_loop

    http = at.far.fs.fs

    async def head(url: str) -> tuple[int, str | None]:
        client = await http.set_session()
        headers = {"Accept-Encoding": "identity"}
        async with client.head(http.encode_url(url), allow_redirects=True, headers=headers) as answer:
            return answer.status, answer.headers.get("Content-Length")

    tasks = batch_coros([head(url) for url in urls], batch_size=JOBS, return_exceptions=True)
    found: list[int | None] = []
    for answer in asyncio.run_coroutine_threadsafe(tasks, get_loop()).result():
        if isinstance(answer, BaseException):
            raise remote_error(answer, url=at.remote.address, doing="list its files") from answer
        status, size = answer
        if status >= 300 and status != 404:
            raise dagshub_error(status, f"DVC remote {at.remote.address}: could not list its files")
        found.append(None if status == 404 else int(size) if size and size.isdigit() else -1)
    return found


def _named(pins: Sequence[Pin]) -> str:
    first = pins[0]
    size = f"{first.size:,} bytes, " if first.size is not None else ""
    more = f" and {len(pins) - 1:,} more" if len(pins) > 1 else ""
    return f"{first.path} ({size}md5 {first.md5}){more}"
