"""The cache of a DVC project: where an object lies, which files a folder's list names, and files put back from it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from cryptoml.errors import DataError
from cryptoml.remotes.dvc.errors import dvc_os_error
from cryptoml.remotes.dvc.pins import Pin, hash_of
from cryptoml.remotes.dvc.session import open_repo
from cryptoml.system.files import replacing


@dataclass(frozen=True)
class Cache:
    """The cache's two folders: of objects as DVC 3 keeps them, and as DVC 2 did."""

    current: Path
    legacy: Path

    def place(self, pin: Pin) -> Path:
        """Where the object of the pin lies, or would."""
        folder = self.legacy if pin.is_legacy else self.current
        return folder / pin.md5[:2] / pin.md5[2:]

    def has(self, pin: Pin) -> bool:
        """Whether the object of the pin is here."""
        return bool(pin.md5) and self.place(pin).is_file()

    def expand(self, pin: Pin) -> list[Pin]:
        """The single files that a pin stands for; a folder's list must be in the cache."""
        if not pin.is_folder:
            return [pin]
        place = self.place(pin)
        try:
            data = place.read_bytes()
            entries = json.loads(data)
            return [
                replace(pin, path=pin.path.joinpath(*entry["relpath"].split("/")), md5=entry["md5"], size=None)
                for entry in entries
            ]
        except OSError as error:
            raise dvc_os_error(error, self.current) from error
        except (ValueError, KeyError, TypeError) as error:
            place.unlink(missing_ok=True)
            raise DataError(
                f"{pin.path}: the list of its files in the cache was damaged and is removed.",
                hint=f"cryptoml pull-data '{pin.path}'",
            ) from error

    def can_restore(self, path: Path, pin: Pin) -> bool:
        """Whether the bytes of the file can be had again from the cache."""
        return self.has(replace(pin, md5=hash_of(path, pin.hash_name), path=path))


def open_cache(folder: Path) -> Cache:
    """The cache of the project that holds `folder`."""
    with open_repo(folder) as repo:
        return Cache(Path(repo.cache.local.path), Path(repo.cache.legacy.path))


def matches(folder: Path, pin: Pin) -> bool:
    """Whether the work tree has the pinned bytes of a single file."""
    path = folder / pin.path
    return path.is_file() and hash_of(path, pin.hash_name) == pin.md5


def check_out(folder: Path, pin: Pin, cache: Cache) -> None:
    """Put a file from the cache into the work tree, whole or not at all.

    A link into the cache is replaced, never written through: the cache keeps its bytes.
    """
    source, target = cache.place(pin), folder / pin.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part:
            shutil.copyfile(source, part)
            if hash_of(part, pin.hash_name) != pin.md5:
                source.unlink(missing_ok=True)
                raise DataError(
                    f"{pin.path}: the copy in the cache was damaged and is removed.",
                    hint=f"cryptoml pull-data '{pin.path}'",
                )
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written: {error.strerror}.", hint="make the folder writable, with space left"
        ) from error
