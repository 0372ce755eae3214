"""Put files under DVC, fetch imports from their source, and try a remote with a small file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptoml.errors import CryptomlError, UnavailableError
from cryptoml.remotes.dagshub import dagshub_error
from cryptoml.remotes.dvc.errors import remote_error
from cryptoml.remotes.dvc.object_transfer import session
from cryptoml.remotes.dvc.pins import Pin
from cryptoml.remotes.dvc.project import DvcRemote
from cryptoml.remotes.dvc.session import open_repo

PROBE_TEXT = b"written by cryptoml setup-remotes to prove that this remote can be written and read\n"


def add(folder: Path, paths: Sequence[Path]) -> None:
    """Put files and folders under DVC, or their new bytes: the cache has them, and `PATH.dvc` says which."""
    with open_repo(folder) as repo:
        repo.add([str(path) for path in paths])


def fetch_import(folder: Path, pin: Pin) -> None:
    """Fetch what `dvc import` or `dvc import-url` pinned from its source into the cache."""
    doing = f"fetch {pin.path}"
    with open_repo(folder) as repo:
        try:
            repo.fetch(targets=[str(folder / pin.source)])
        except CryptomlError:
            raise
        except Exception as error:  # DVC raises whatever a driver raises; translated and raised again
            known = remote_error(error, url=str(pin.origin), doing=doing)
            raise type(known)(
                f"{pin.path}: could not be fetched from its source {pin.origin}: {known.fact}",
                hint=f"check the source, then: dvc update '{pin.source}'",
            ) from error


def check_round_trip(folder: Path, remote: DvcRemote) -> None:
    """Write a small object to the remote, read it back, and remove it from the cache; raises what went wrong."""
    import hashlib

    md5 = hashlib.md5(PROBE_TEXT, usedforsecurity=False).hexdigest()
    with session(folder, remote) as at:
        from dvc.fs import LocalFileSystem

        with tempfile.TemporaryDirectory(prefix="cryptoml-", dir=at.repo.tmp_dir) as text:
            source, back = Path(text) / "there", Path(text) / "back"
            source.write_bytes(PROBE_TEXT)
            far = at.far.odb
            try:
                far.add(str(source), LocalFileSystem(), md5, check_exists=False)
                far.fs.get_file(far.oid_to_path(md5), str(back))
            except Exception as error:  # DVC raises whatever a driver raises; translated and raised again
                # DVC's file systems raise whatever their transport raises; over http it has a status.
                status = getattr(error, "status", None)
                if isinstance(status, int):
                    raise dagshub_error(status, f"{remote.address}: could not write a small file") from error
                raise remote_error(error, url=remote.address, doing="write a small file and read it back") from error
            if back.read_bytes() != PROBE_TEXT:
                raise UnavailableError(f"{remote.address}: gives back other bytes than it was given.")
