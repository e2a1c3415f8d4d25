"""Open the state file of the command: private, alone, and with errors that name it."""

import fcntl
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mailrouting.errors import (
    ConfigurationError,
    RecordNotFoundError,
    StaleWriteError,
    StorageError,
    StorageUnavailableError,
)

__all__ = ["alone", "check_state", "create_state", "naming_state"]

_PRIVATE = 0o600  # it holds raw mail
_MAGIC = b"SQLite format 3\0"


def check_state(state: Path, *, named: str) -> None:
    """Refuse a state that cannot work, and leave nothing behind.

    Args:
        state: The SQLite file.
        named: File and key that name it, for the error.

    Raises:
        ConfigurationError: It cannot be written, or is no SQLite file.
    """
    with _refusing(state, named):
        if not state.exists():
            if not os.access(state.parent, os.W_OK | os.X_OK):
                # The system knows the reason: missing, no folder, not allowed.
                os.close(os.open(state.parent, os.O_RDONLY | os.O_DIRECTORY))
                raise PermissionError(0, "the folder may not be written")
            return
        if not state.is_file():
            raise OSError(0, "it is no plain file")
        with state.open("r+b") as file:
            start = file.read(len(_MAGIC))
    if start and start != _MAGIC:
        raise ConfigurationError(
            f"{named}: {state} is no SQLite file",
            hint="Name another file, or one that is not there.",
        )


def create_state(state: Path, *, named: str) -> None:
    """Create the state when there is none: SQLite's other files take its mode from it.

    Raises:
        ConfigurationError: It cannot be created.
    """
    with _refusing(state, named):
        # An existing file is left alone: to close it would drop the locks of SQLite's own handle.
        if not state.exists():
            os.close(os.open(state, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE))


@contextmanager
def alone(state: Path, *, named: str) -> Generator[bool]:
    """Hold the state's lock file, and say whether we do.

    The kernel lets it go when the process dies, however it does. The file stays: to remove it
    would let two in.

    Raises:
        ConfigurationError: It cannot be created.
    """
    path = state.with_name(f"{state.name}.lock")
    with _refusing(path, named):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        yield _locked(lock)
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def naming_state(state: Path) -> Generator[None]:
    """Put the file's name before what SQLite says.

    Raises:
        StorageUnavailableError: The state is busy or away.
        ConfigurationError: It cannot be used as it is.
    """
    try:
        yield
    except (RecordNotFoundError, StaleWriteError):
        raise  # the state is well: what was asked for is not there
    except (StorageUnavailableError, sqlite3.OperationalError) as error:
        hint = getattr(error, "hint", "Look for what else has it open.")
        raise StorageUnavailableError(f"{state}: {error}", hint=hint) from error
    except (StorageError, sqlite3.Error) as error:
        hint = getattr(error, "hint", "")
        raise ConfigurationError(
            f"{state}: {error}", hint=hint or "Name another file, or one that is not there."
        ) from error


@contextmanager
def _refusing(path: Path, named: str) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        raise ConfigurationError(
            f"{named}: {path} cannot be used: {getattr(error, 'strerror', None) or error}",
            hint="Name a file in a folder that exists and may be written.",
        ) from error
