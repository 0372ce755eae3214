"""Data files between the work tree, DVC's cache and a remote. Every file that arrives is checked against its md5."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptoml.errors import CryptomlError, DataError, UnavailableError
from cryptoml.remotes.dagshub import refusal
from cryptoml.remotes.dvc_project import DvcRemote, in_dvc_words
from cryptoml.remotes.md5 import md5_of
from cryptoml.remotes.redirects import same_host_only

if TYPE_CHECKING:
    from dvc.repo import Repo

# DagsHub throttles many writers at once.
JOBS = 4
PROBE_TEXT = b"written by cryptoml setup-remotes to prove that this remote can be written and read\n"


@dataclass(frozen=True)
class Pin:
    """What a `.dvc` file says: `path` (relative to the project) has this md5; a folder's ends in .dir."""

    path: Path
    md5: str
    size: int | None = None

    @property
    def is_folder(self) -> bool:
        """Whether a whole folder is pinned."""
        return self.md5.endswith(".dir")


@contextmanager
def opened(folder: Path, remote: DvcRemote | None = None) -> Iterator[Repo]:
    """The DVC project; `remote`'s credentials are used even where they are not in its config."""
    from dvc.repo import Repo

    config: dict[str, Any] = {}
    if remote is not None and remote.is_http and remote.credentials:
        user, password = remote.credentials
        config = {"remote": {remote.name: {"url": remote.url, "auth": "basic", "user": user, "password": password}}}
    with in_dvc_words(folder), Repo(str(folder), config=config) as repo:
        yield repo


def add(folder: Path, paths: Sequence[Path]) -> None:
    """Put files under DVC, or their new bytes: the cache has them, and `FILE.dvc` says which."""
    with opened(folder) as repo:
        repo.add([str(path) for path in paths])


def push(folder: Path, pins: Sequence[Pin], remote: DvcRemote, *, on_done: Callable[[int], None]) -> int:
    """Copy what the remote lacks from the cache to it; how many objects were sent.

    Raises AccessError where the remote refuses, UnavailableError where it is away or full.
    """
    with opened(folder, remote) as repo:
        cache, far = repo.cache.local, same_host_only(repo.cloud.get_remote_odb(remote.name))
        return _transfer(cache, far, pins, f"{remote.url}: could not be written", on_done=on_done, verify=False)


def fetch(folder: Path, pins: Sequence[Pin], remote: DvcRemote, *, on_done: Callable[[int], None]) -> int:
    """Copy what the cache lacks from the remote; how many objects came. What came before an interruption stays."""
    with opened(folder, remote) as repo:
        cache, far = repo.cache.local, same_host_only(repo.cloud.get_remote_odb(remote.name))
        return _transfer(far, cache, pins, f"{remote.url}: could not be read", on_done=on_done, verify=True)


def in_cache(folder: Path, md5: str) -> bool:
    """Whether the cache holds the bytes of that md5."""
    return cached(folder, md5).is_file()


def cached(folder: Path, md5: str) -> Path:
    """Where the cache keeps the bytes of that md5."""
    with opened(folder) as repo:
        return Path(repo.cache.local.oid_to_path(md5))


def files_of(folder: Path, pin: Pin) -> list[Pin]:
    """The single files that a pin stands for; a folder's list must be in the cache."""
    if not pin.is_folder:
        return [pin]
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    with opened(folder) as repo:
        tree = Tree.load(repo.cache.local, HashInfo("md5", pin.md5))
        return [Pin(pin.path.joinpath(*key), found.value) for key, _, found in tree]


def check_out(folder: Path, pin: Pin) -> None:
    """Put a file from the cache into the work tree, whole or not at all."""
    source, target = cached(folder, pin.md5), folder / pin.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        if md5_of(partial) != pin.md5:
            source.unlink(missing_ok=True)
            raise DataError(f"{pin.path}: the copy in the cache was damaged and is removed.", mend="pull it again")
        partial.replace(target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}.", mend="free some space there") from error
    finally:
        partial.unlink(missing_ok=True)


def prove(folder: Path, remote: DvcRemote) -> None:
    """Write a small object to the remote, read it back, and remove it from the cache; raises what went wrong."""
    import hashlib
    import tempfile

    md5 = hashlib.md5(PROBE_TEXT, usedforsecurity=False).hexdigest()
    with tempfile.TemporaryDirectory(prefix="cryptoml-") as text, opened(folder, remote) as repo:
        from dvc.fs import LocalFileSystem

        source, back = Path(text) / "there", Path(text) / "back"
        source.write_bytes(PROBE_TEXT)
        far = same_host_only(repo.cloud.get_remote_odb(remote.name))
        try:
            far.add(str(source), LocalFileSystem(), md5, check_exists=False)
            far.fs.get_file(far.oid_to_path(md5), str(back))
        except CryptomlError:
            raise
        except Exception as error:
            # DVC's file systems raise whatever their transport raises; over http it has a status.
            status = getattr(error, "status", None)
            if isinstance(status, int):
                raise refusal(status, f"{remote.url}: could not write a small file") from error
            raise UnavailableError(
                f"{remote.url}: a small file could not be written and read back ({type(error).__name__})."
            ) from error
        if back.read_bytes() != PROBE_TEXT:
            raise UnavailableError(f"{remote.url}: gives back other bytes than it was given.")


def _transfer(
    source: Any, target: Any, pins: Sequence[Pin], failing: str, *, on_done: Callable[[int], None], verify: bool
) -> int:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer
    from fsspec.callbacks import Callback

    class Told(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            on_done(inc)

    wanted = {HashInfo("md5", pin.md5) for pin in pins}
    with _faults() as faults:
        done = transfer(source, target, wanted, jobs=JOBS, verify=verify, shallow=False, callback=Told())
    if not done.failed:
        return len(done.transferred)
    for fault in faults:
        if isinstance(fault, CryptomlError):
            raise fault
    status = next((fault.status for fault in faults if isinstance(getattr(fault, "status", None), int)), None)
    if status is not None:
        raise refusal(status, failing)
    raise UnavailableError(
        f"{failing}: {len(done.failed)} of {len(wanted)} objects did not arrive.",
        mend="run it again: what arrived is kept",
    )


@contextmanager
def _faults() -> Iterator[list[Any]]:
    """What goes wrong with single objects: DVC only writes it to its log."""
    logger = logging.getLogger("dvc_data.hashfile.transfer")
    found: list[Any] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.exc_info[1] if record.exc_info else None)

    handler, propagate = Keep(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
