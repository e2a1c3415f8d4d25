"""Hold what every step of a run works with."""

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

import attrs

from mailrouting.hooks import Listener
from mailrouting.intake.limits import FetchLimits
from mailrouting.storage import Storage

__all__ = ["Tools"]

Tx = TypeVar("Tx")


@attrs.frozen(kw_only=True)
class Tools(Generic[Tx]):
    """Hold what every step of a run works with.

    Attributes:
        storage: Where everything is kept.
        clock: Returns the time, with its zone.
        jitter: Returns a number from 0 to 1.
        limits: Bounds of a run.
        worker: Who runs.
        stopping: Says whether to end early.
        tell: Hears of every event.
    """

    storage: Storage[Tx]
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    limits: FetchLimits
    worker: str
    stopping: Callable[[], bool]
    tell: Listener
