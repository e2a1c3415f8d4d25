"""Turn what hooks and adapters raise into errors of ours."""

import re
import traceback
from pathlib import PurePath
from types import TracebackType

from mailrouting.errors import (
    HookError,
    MailroutingError,
    StorageUnavailableError,
    TransactionMisuseError,
)

__all__ = ["HOOK_MAY_SAY", "calling", "hook_error", "ours", "storable"]

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LONGEST_TEXT = 500


HOOK_MAY_SAY = (HookError, StorageUnavailableError, TransactionMisuseError)
"""Errors of ours that mean the same when a hook raises them. A `StaleWriteError` of its own, say,
does not mean that the mail's claim is lost."""


class calling:  # noqa: N801 - used as a statement: `with calling(...)`
    """Call a host's hook inside: what it raises leaves as `HookError`.

    Args:
        hook: Its name.
        may_say: Errors that leave as they are.
    """

    # Not a generator: this is entered several times for each mail.
    __slots__ = ("_hook", "_may_say")

    def __init__(
        self, hook: str, *, may_say: tuple[type[MailroutingError], ...] = HOOK_MAY_SAY
    ) -> None:
        self._hook = hook
        self._may_say = may_say

    def __enter__(self) -> None:
        """Begin the call."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Turn what was raised into ours."""
        if isinstance(exc, Exception) and not isinstance(exc, self._may_say):
            raise hook_error(self._hook, exc) from exc


def hook_error(hook: str, error: Exception) -> HookError:
    """Return what a hook raised as ours."""
    return HookError(
        f"{hook} raised {type(error).__name__}{_place(error)}",
        hook=hook,
        hint="See the error's cause; the mail is kept and tried again.",
    )


def ours(error: Exception) -> MailroutingError:
    """Return what nobody should have raised: a fault of ours or of a storage adapter."""
    if isinstance(error, MailroutingError):
        return error
    wrapper = MailroutingError(
        f"unexpected {type(error).__name__}{_place(error)}",
        hint="This is a fault of mailrouting or of the storage: report it with its cause.",
    )
    wrapper.__cause__ = error
    return wrapper


def _place(error: Exception) -> str:
    """Say where an error arose; its text may hold content of the mail, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}"


def storable(text: object) -> str:
    """Return a host's text as every storage can keep it: bounded, no NUL, no lone surrogate."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", str(text))[:_LONGEST_TEXT]
