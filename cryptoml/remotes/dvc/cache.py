"""The cache of a DVC project: paths of objects, contents of folder lists, and restoring files."""

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
    """The cache folders of DVC 3 (`current`) and DVC 2 (`legacy`)."""

    current: Path
    legacy: Path

    def object_path(self, pin: Pin) -> Path:
        """Return the path of the pin's object, which may not exist."""
        folder = self.legacy if pin.is_legacy else self.current
        return folder / pin.md5[:2] / pin.md5[2:]

    def has(self, pin: Pin) -> bool:
        """Return whether the cache has the pin's object."""
        return bool(pin.md5) and self.object_path(pin).is_file()

    def expand(self, pin: Pin) -> list[Pin]:
        """Return a pin for each file of the pin; a folder's list must be in the cache."""
        if not pin.is_folder:
            return [pin]
        file = self.object_path(pin)
        try:
            entries = json.loads(file.read_bytes())
            return [
                replace(pin, path=pin.path.joinpath(*entry["relpath"].split("/")), md5=entry["md5"], size=None)
                for entry in entries
            ]
        except OSError as error:
            raise dvc_os_error(error, self.current) from error
        except (ValueError, KeyError, TypeError) as error:
            file.unlink(missing_ok=True)
            raise DataError(
                f"{pin.path}: its file list in the cache was damaged and has been removed.",
                hint=f"cryptoml pull-data '{pin.path}'",
            ) from error

    def can_restore(self, path: Path, pin: Pin) -> bool:
        """Return whether the cache has the content of the file."""
        return self.has(replace(pin, md5=hash_of(path, pin.hash_name), path=path))


def open_cache(folder: Path) -> Cache:
    """Return the cache of the project that contains `folder`."""
    with open_repo(folder) as repo:
        return Cache(Path(repo.cache.local.path), Path(repo.cache.legacy.path))


def matches(folder: Path, pin: Pin) -> bool:
    """Return whether the work tree has the pinned content of a single file."""
    path = folder / pin.path
    return path.is_file() and hash_of(path, pin.hash_name) == pin.md5


def check_out(folder: Path, pin: Pin, cache: Cache) -> None:
    """Copy a file from the cache to the work tree atomically.

    A link into the cache is replaced, not written through, so that the cache stays unchanged.
    """
    source, target = cache.object_path(pin), folder / pin.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part:
            shutil.copyfile(source, part)
            if hash_of(part, pin.hash_name) != pin.md5:
                source.unlink(missing_ok=True)
                raise DataError(
                    f"{pin.path}: the copy in the cache was damaged and has been removed.",
                    hint=f"cryptoml pull-data '{pin.path}'",
                )
    except OSError as error:
        raise DataError(
            f"{target}: is not writable: {error.strerror}.", hint="check the folder's permissions and free space"
        ) from error
