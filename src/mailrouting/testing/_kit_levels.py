"""Say which tests of the storage kit belong to which level, and which are a preview."""

import enum
import re
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Level", "level_of", "obligations_of", "of_level", "preview", "previewed_until"]

Marked = TypeVar("Marked", bound=Callable[..., Any])

_LEVEL, _UNTIL = "kit_level", "kit_preview_until"


class Level(enum.IntEnum):
    """Say how much of a storage is there. Each level includes those below it.

    Levels are steps on the way: what the service runs on must be `WHOLE`.
    """

    ONE_WORKER = 1
    MANY_WORKERS = 2
    WHOLE = 3

    @property
    def meaning(self) -> str:
        """What an adapter of this level holds out."""
        return _MEANINGS[self]


_MEANINGS = {
    Level.ONE_WORKER: "one worker takes mail in, converts it and tells the server",
    Level.MANY_WORKERS: "workers are at it at once, and die",
    Level.WHOLE: "servers number mail anew, operators look back and forget",
}


def of_level(level: Level) -> Callable[[Marked], Marked]:
    """Put a test on a level, or all tests of a class that are on none yet."""

    def mark(marked: Marked) -> Marked:
        for test in _tests_in(marked):
            vars(test).setdefault(_LEVEL, level)
        return marked

    return mark


def preview(*, until: str) -> Callable[[Marked], Marked]:
    """Mark a test of an obligation that binds from this version on: till then it fails nobody."""

    def mark(test: Marked) -> Marked:
        vars(test)[_UNTIL] = until
        return test

    return mark


def level_of(test: object) -> Level:
    """Return the level that a test is on."""
    level = getattr(test, _LEVEL, Level.WHOLE)
    assert isinstance(level, Level)
    return level


def previewed_until(test: object) -> str | None:
    """Return the version that a test binds from, when it does not yet."""
    until = getattr(test, _UNTIL, None)
    assert until is None or isinstance(until, str)
    return until


def obligations_of(test: object) -> tuple[str, ...]:
    """Return the numbers that a test's docstring begins with: "S3 to S5:", "S16, S17:"."""
    begun = re.match(r"(S\d+(?:(?:, | to )S\d+)*): ", test.__doc__ or "")
    if begun is None:
        return ()
    numbers = [int(number) for number in re.findall(r"S(\d+)", begun[1])]
    if " to " in begun[1]:
        numbers = [*range(numbers[0], numbers[-1] + 1)]
    return tuple(f"S{number}" for number in numbers)


def _tests_in(marked: object) -> list[object]:
    if not isinstance(marked, type):
        return [marked]
    return [test for name, test in vars(marked).items() if name.startswith("test_")]
