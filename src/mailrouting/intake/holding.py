"""Hold a mailbox for as long as work on it goes on."""

from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

from mailrouting.errors import MailroutingError, StaleWriteError
from mailrouting.intake.calling import ours
from mailrouting.records import Lease
from mailrouting.storage import Storage

__all__ = ["Hold"]

_RENEWED_AFTER = 1 / 3
"""Of a lease's life: two renewals may be late before anybody else gets the mailbox."""


@attrs.define(kw_only=True)
class Hold:
    """Be a run's hold on its mailbox: a lease that is renewed where the run has control.

    For one thread. That it is lost is seen at the next renewal, and at every write: the storage
    compares the lease's token.

    Attributes:
        storage: Where the lease is kept.
        lease: As it was renewed last.
        clock: Returns the time.
        ttl_seconds: How long it lasts from each renewal on.
    """

    storage: Storage[object]
    lease: Lease
    clock: Callable[[], datetime]
    ttl_seconds: float
    _renewed_at: datetime = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._renewed_at = self.lease.expires_at - timedelta(seconds=self.ttl_seconds)

    def keep(self) -> None:
        """Renew the lease when a third of its life is over; cheap before.

        Raises:
            StaleWriteError: The lease is lost.
            StorageError: The storage failed.
        """
        age = (self.clock() - self._renewed_at).total_seconds()
        if 0 <= age < self.ttl_seconds * _RENEWED_AFTER:  # below 0 the clock was put back
            return
        try:
            self.renew()
        except MailroutingError:
            raise
        except Exception as error:
            # Sessions call this while an answer comes: they would take it for the server's fault.
            raise ours(error) from error

    def is_kept(self) -> bool:
        """Do as `keep`, and tell whether the mailbox is still ours.

        Raises:
            StorageError: The storage failed otherwise.
        """
        try:
            self.keep()
        except StaleWriteError:
            return False
        return True

    def renew(self) -> None:
        """Prove that the lease is ours, and prolong it.

        Raises:
            StaleWriteError: The lease is lost.
            StorageError: The storage failed.
        """
        now = self.clock()
        self.lease = self.storage.lease_renew(self.lease, ttl_seconds=self.ttl_seconds, now=now)
        self._renewed_at = now
