"""Tell which optional abilities a desk has: one that has the method has the ability.

Asked for each mail, so it does not go through `isinstance`: for a protocol that takes as long as a
look-up.
"""

from typing import Any, TypeGuard

from mailrouting.hooks import (
    FindsByKey,
    FindsByNumber,
    KnowsPeople,
    Observes,
    Prepares,
    RecordsBounces,
)

__all__ = [
    "finds_by_key",
    "finds_by_number",
    "knows_people",
    "observes",
    "prepares",
    "records_bounces",
]


def _has(desk: object, method: str) -> bool:
    return getattr(desk, method, None) is not None


def prepares(desk: object) -> TypeGuard[Prepares]:
    """Tell whether it looks at drafts."""
    return _has(desk, "prepare")


def finds_by_key(desk: object) -> TypeGuard[FindsByKey]:
    """Tell whether it finds what an earlier try wrote."""
    return _has(desk, "lookup")


def finds_by_number(desk: object) -> TypeGuard[FindsByNumber]:
    """Tell whether it finds tickets by number."""
    return _has(desk, "find_by_number")


def knows_people(desk: object) -> TypeGuard[KnowsPeople]:
    """Tell whether it knows who an address belongs to."""
    return _has(desk, "role_of")


def records_bounces(desk: object) -> TypeGuard[RecordsBounces[Any]]:
    """Tell whether it notes addresses that cannot be written to."""
    return _has(desk, "record_bounces")


def observes(desk: object) -> TypeGuard[Observes]:
    """Tell whether it hears of events."""
    return _has(desk, "observe")
