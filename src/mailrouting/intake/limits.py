"""Bound what one run holds, and for how long."""

import attrs

__all__ = ["FetchLimits"]


@attrs.frozen(kw_only=True)
class FetchLimits:
    """Bound what one run holds and how long its holds last.

    Attributes:
        lease_seconds: How long a mailbox stays ours when a worker dies.
        visibility_seconds: How long a claimed mail stays ours when a worker dies. Of mails claimed
            together, those not begun when half of it has passed are given back.
        max_attempts: Tries of a mail before it is quarantined.
        batch_bytes: A put is made when this many bytes are read.
        batch_mails: And at latest after this many mails.
        claim_mails: Mails claimed at once for their first try; they are in memory together. One that
            was tried before is claimed alone, so a mail that kills its process costs its neighbours
            one attempt at most.
        rescan_mails: After a server numbered a mailbox anew: so many mails older than a day that
            were never seen are taken in; more, and a person is asked.
    """

    lease_seconds: float = 900.0
    visibility_seconds: float = 600.0
    max_attempts: int = 5
    batch_bytes: int = 2 * 1024 * 1024
    batch_mails: int = 200
    claim_mails: int = 100
    rescan_mails: int = 50
