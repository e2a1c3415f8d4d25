"""Keep large mail as files, beside the rows that name them (floor 6)."""

import contextlib
import errno
import hashlib
import mmap
import os
import tempfile
from collections.abc import Container, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mailrouting.errors import RecordNotFoundError, StorageUnavailableError
from mailrouting.reading import MailSource

__all__ = ["Spool", "SpoolWriter"]

_SLICE = 256 * 1024
_PART = ".part"

_HINTS = {
    errno.ENOSPC: "Free some disk space.",
    errno.EDQUOT: "Free some disk space, or raise the quota.",
    errno.EFBIG: "Raise the limit on the size of files.",
    errno.EACCES: "Check that the folder may be written to.",
    errno.EPERM: "Check that the folder may be written to.",
    errno.EROFS: "Check that the folder may be written to.",
    errno.ENOENT: "Check that the folder exists.",
    errno.EMFILE: "Raise the limit on open files.",
}


@contextmanager
def _translated(doing: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailableError(
            f"{doing} failed: {error.strerror or error}",
            hint=_HINTS.get(error.errno or 0, "Look at the disk and at the system's log."),
        ) from error


class SpoolWriter:
    """Take one mail in pieces; see `Spool.writer`.

    Attributes:
        key: The mail's name in the spool: its SHA-256. Set when the `with` block has ended.
    """

    def __init__(self, spool: "Spool") -> None:
        self.key: str = ""
        self._spool = spool
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._path = Path()

    def __enter__(self) -> Self:
        with _translated("opening a spool file"):
            handle, name = tempfile.mkstemp(suffix=_PART, dir=self._spool.made_folder())
            self._file, self._path = os.fdopen(handle, "wb"), Path(name)
        return self

    def write(self, chunk: MailSource | memoryview) -> None:
        """Add to the mail.

        Raises:
            StorageUnavailableError: The disk is full or away; nothing is kept.
        """
        assert self._file is not None
        with _translated("writing a spool file"):
            self._file.write(chunk)
        self._digest.update(chunk)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._file is not None
        if exc_type is not None:
            self._discard(self._file)
            return
        try:
            with _translated("closing a spool file"):
                self._file.flush()
                self._spool.sync(self._file.fileno())
                self._file.close()
                key = self._digest.hexdigest()
                self._path.rename(self._spool.path(key))
                self._spool.sync_folder()
        except BaseException:
            self._discard(self._file)
            raise
        self.key = key

    def _discard(self, file: BinaryIO) -> None:
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


class Spool:
    """Keep mails as files of one folder, each named by the SHA-256 of its bytes.

    A file is there before anything names it, and a name means the whole file: what is written
    stands under a name of its own (`*.part`) until it has reached the disk. So what a process that
    dies leaves is a file too many, for `sweep`, and never one too few.

    May be shared by threads and processes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spool = Spool(folder)
    ...     bytes(spool.open(spool.put(b"Subject: large")))
    b'Subject: large'

    Args:
        folder: Made when the first mail comes, for its owner alone (0700); not its parents.
        fsync: False gives up what power loss would take, for tests.
    """

    def __init__(self, folder: str | os.PathLike[str], *, fsync: bool = True) -> None:
        self.folder: Path = Path(folder)
        self._fsync = fsync
        self._is_made = False

    def writer(self) -> SpoolWriter:
        """Return a context manager that takes a mail in pieces.

        At the end of its block the file and its name have reached the disk, and `key` is set. A
        block that raises leaves nothing.

        Raises:
            StorageUnavailableError: In any step: the disk is full or away; nothing is kept.
        """
        return SpoolWriter(self)

    def put(self, source: MailSource) -> str:
        """Keep a mail; return its key. A memory map is copied in slices.

        Raises:
            StorageUnavailableError: The disk is full or away; nothing is kept.
        """
        with self.writer() as writer, memoryview(source) as whole:
            for start in range(0, len(whole), _SLICE):
                with whole[start : start + _SLICE] as piece:
                    writer.write(piece)
        return writer.key

    def open(self, key: str) -> MailSource:
        """Return a mail as a memory map (an empty one as bytes).

        It stays whole when the file is removed meanwhile.

        Raises:
            RecordNotFoundError: There is no such file.
            StorageUnavailableError: It cannot be read now.
        """
        try:
            with _translated("opening a spool file"), self.path(key).open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return b""
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except StorageUnavailableError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise RecordNotFoundError(
                    f"the spool has no file {key}",
                    hint="Restore the spool's folder together with the database, from one backup.",
                ) from error
            raise

    def has(self, key: str) -> bool:
        """Say whether the mail is there."""
        return self.path(key).is_file()

    def remove(self, key: str) -> None:
        """Remove a mail. Idempotent.

        Raises:
            StorageUnavailableError: It cannot be removed now.
        """
        with _translated("removing a spool file"):
            self.path(key).unlink(missing_ok=True)

    def sweep(self, keep: Container[str], *, older_than: datetime) -> int:
        """Remove files that nothing names, left by processes that died; return how many.

        Args:
            keep: Keys that are named.
            older_than: Only files that were written before: a younger one may be named soon.

        Raises:
            StorageUnavailableError: The folder cannot be read, or a file not removed.
        """
        removed = 0
        with _translated("sweeping the spool"):
            for path in self._files():
                with contextlib.suppress(FileNotFoundError):
                    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    if path.name not in keep and written < older_than:
                        path.unlink()
                        removed += 1
        return removed

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.is_file()]
        except FileNotFoundError:
            return []

    def path(self, key: str) -> Path:
        """Return where a mail stands.

        Raises:
            ValueError: It is no key.
        """
        if not key.isalnum():
            raise ValueError(f"no key of a spool: {key!r}")
        return self.folder / key

    def made_folder(self) -> Path:
        """Return the folder, made."""
        if not self._is_made:
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
                self._sync_at(self.folder.parent)
            self._is_made = True
        return self.folder

    def sync(self, descriptor: int) -> None:
        """Wait until a file has reached the disk."""
        if self._fsync:
            os.fsync(descriptor)

    def sync_folder(self) -> None:
        """Wait until the names in the folder have reached the disk."""
        self._sync_at(self.folder)

    def _sync_at(self, folder: Path) -> None:
        if not self._fsync:
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
