"""Add files to DVC, fetch imports from their source, and check a remote with a small file."""

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
    """Add files and folders, or their new content, to DVC: to the cache, with a pin in `PATH.dvc`."""
    with open_repo(folder) as repo:
        repo.add([str(path) for path in paths])


def fetch_import(folder: Path, pin: Pin) -> None:
    """Fetch data pinned by `dvc import` or `dvc import-url` from its source to the cache."""
    doing = f"fetch {pin.path}"
    with open_repo(folder) as repo:
        try:
            repo.fetch(targets=[str(folder / pin.source)])
        except CryptomlError:
            raise
        except Exception as error:  # DVC raises any error of a driver; it is translated
            translated = remote_error(error, url=str(pin.origin), doing=doing)
            raise type(translated)(
                f"{pin.path}: could not be fetched from its source {pin.origin}: {translated.fact}",
                hint=f"check the source, then: dvc update '{pin.source}'",
            ) from error


def check_round_trip(folder: Path, remote: DvcRemote) -> None:
    """Write a small object to the remote and read it back; raise a CryptomlError if it fails."""
    import hashlib

    md5 = hashlib.md5(PROBE_TEXT, usedforsecurity=False).hexdigest()
    with session(folder, remote) as at:
        from dvc.fs import LocalFileSystem

        with tempfile.TemporaryDirectory(prefix="cryptoml-", dir=at.repo.tmp_dir) as temporary:
            source, returned = Path(temporary) / "source", Path(temporary) / "returned"
            source.write_bytes(PROBE_TEXT)
            remote_odb = at.data_remote.odb
            try:
                remote_odb.add(str(source), LocalFileSystem(), md5, check_exists=False)
                remote_odb.fs.get_file(remote_odb.oid_to_path(md5), str(returned))
            except Exception as error:  # DVC raises any error of a driver; it is translated
                # Over http, the transport's error has a status.
                status = getattr(error, "status", None)
                if isinstance(status, int):
                    raise dagshub_error(status, f"{remote.address}: could not write a small file") from error
                raise remote_error(error, url=remote.address, doing="write a small file and read it back") from error
            if returned.read_bytes() != PROBE_TEXT:
                raise UnavailableError(f"{remote.address}: returned other content than was written.")
