"""Kill runs by POP3 where `test_enumeration.py` does not: poor servers, and other modes."""

import pytest

from crashing.enumeration import Scenario
from mailrouting.accounts import AcknowledgeWhen, AfterFetch
from mailrouting.auth import MailProtocol

pytestmark = pytest.mark.timeout(1800)

DELETE = {
    "processed": AfterFetch.delete(),
    "filtered": AfterFetch.delete(),
    "quarantined": AfterFetch.delete(),
}
SERVERS = [pytest.param("dovecot", marks=pytest.mark.dovecot), "fake"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_kill_when_stored_is_enough_loses_and_doubles_nothing(lab, enumerate_kills, server):
    """F1, F44: mail is deleted before it is converted, and QUIT alone deletes."""
    enumerate_kills(
        Scenario(
            lab=lab(server, protocol=MailProtocol.POP3),
            inbound={**DELETE, "acknowledge_when": AcknowledgeWhen.STORED},
            settles_late=True,
        ),
        short=5,
    )


def test_a_kill_without_unique_ids_loses_and_doubles_nothing(lab, enumerate_kills):
    """F45: mails are known by what they hold, in the next life too."""
    without = ("UIDL", "PIPELINING", "TOP", "CAPA")
    enumerate_kills(
        Scenario(
            lab=lab("fake", protocol=MailProtocol.POP3, without=without),
            inbound=DELETE,
            settles_late=True,
        ),
        short=5,
    )
