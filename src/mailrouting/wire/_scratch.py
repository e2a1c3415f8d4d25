"""Keep large mail out of memory: in a file without a name, mapped."""

import contextlib
import mmap
import tempfile
from pathlib import Path
from typing import IO

from mailrouting.errors import StorageUnavailableError
from mailrouting.reading import MailSource

__all__ = ["Scratch"]

_LARGEST_IN_MEMORY = 1024 * 1024


class Scratch:
    """Collect a mail's octets as they come: small ones in memory, large ones in a file.

    The file has no name, so nothing is left behind whatever dies. It takes no part in any promise:
    what is to last is put into a storage.

    Args:
        folder: Where the file is made; None is the system's folder for such files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._parts: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def write(self, octets: bytes) -> None:
        """Add octets.

        Raises:
            StorageUnavailableError: The file cannot be made or written, for instance because the
                disk is full.
        """
        self._size += len(octets)
        self._parts.append(octets)
        if self._file is None and self._size <= _LARGEST_IN_MEMORY:
            return
        because = ""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - see close
            self._file.writelines(self._parts)
        except OSError as error:
            because = _reason(error)
        self._parts.clear()
        if because:
            raise _unkept(because)

    def finish(self) -> MailSource:
        """Return all of it. The map holds the file; it goes when nobody holds the map.

        Raises:
            StorageUnavailableError: As in `write`.
        """
        if self._file is None:
            return b"".join(self._parts)
        self.write(b"")
        because = ""
        try:
            self._file.flush()
            return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            because = _reason(error)
        finally:
            self.close()
        raise _unkept(because)

    def close(self) -> None:
        """Let go of what is not finished. Idempotent."""
        self._parts.clear()
        if self._file is not None:
            with contextlib.suppress(OSError):  # what was never flushed is not wanted any more
                self._file.close()
            self._file = None


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _unkept(because: str) -> StorageUnavailableError:
    return StorageUnavailableError(
        f"a large mail cannot be kept while it is read: {because}",
        hint="Make room where temporary files are, or name another folder for them.",
    )
