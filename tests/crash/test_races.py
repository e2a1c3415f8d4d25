"""Let workers overtake each other: with leases that end too early, and with none at all."""

from datetime import UTC, datetime

import pytest

from crashing.enumeration import Enumeration, Scenario
from crashing.lives import Recipe
from mailrouting.accounts import AfterFetch
from mailrouting.records import Lease
from mailrouting.stores.sqlite import SqliteStorage

FAR = datetime(2100, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.timeout(1800)

MODES = {
    "seen": {"processed": AfterFetch.mark_seen(), "filtered": AfterFetch.mark_seen()},
    "move": {
        "processed": AfterFetch.move("Done"),
        "filtered": AfterFetch.move("Filtered"),
        "quarantined": AfterFetch.move("Failed"),
    },
    "delete": {"processed": AfterFetch.delete(), "filtered": AfterFetch.delete()},
}
SERVERS = [pytest.param("dovecot", marks=pytest.mark.dovecot), "fake"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", ["seen", "move"])
def test_a_worker_whose_lease_ends_in_a_batch_harms_nothing(lab, is_long, server, mode):
    """F8: halted at any step, overtaken by another and woken, it loses and doubles nothing."""
    found = Enumeration(Scenario(lab=lab(server), inbound=MODES[mode])).overtaken(
        **({} if is_long else {"most": 5})
    )
    assert found.clean, "\n".join(found.odd[:20])


class _Unleased(Recipe):
    class storage(SqliteStorage):  # noqa: N801 - a recipe names its parts
        """Give everybody the lease that was given first, and take none back."""

        def lease_acquire(self, mailbox, *, owner, ttl_seconds, now=None):
            taken = super().lease_acquire(mailbox, owner=owner, ttl_seconds=ttl_seconds, now=now)
            if taken is not None:
                return taken
            return Lease(mailbox=mailbox, owner=owner, token=1, expires_at=FAR)

        def lease_release(self, lease):
            pass


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", MODES)
def test_three_workers_without_a_lease_make_one_ticket_of_a_mail(lab, is_long, server, mode):
    """F9: three workers on one mailbox at once, and each mail has its one outcome."""
    found = Enumeration(
        Scenario(
            lab=lab(server),
            inbound=MODES[mode],
            recipe=_Unleased(),
            replies_may_open=True,
            copies_may_stay=True,  # of two MOVEs at once Dovecot may carry out both
        )
    ).together(3, times=40 if is_long else 2)
    assert found.clean, "\n".join(found.odd[:20])
