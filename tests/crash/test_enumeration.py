"""Kill the process before and after every step of a run, resume, and count the tickets.

The short form kills at a spread of steps; `make crash` at every one. After each resume every mail
must have exactly the entries, the row and the place on the server that it has when nobody dies.
"""

import attrs
import pytest

from crashing.enumeration import Enumeration, Scenario
from crashing.lives import Recipe
from mailrouting.accounts import AcknowledgeWhen, AfterFetch
from mailrouting.auth import MailProtocol
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import make_message

pytestmark = pytest.mark.timeout(1800)

MOVE = {
    "processed": AfterFetch.move("Done"),
    "filtered": AfterFetch.move("Filtered"),
    "quarantined": AfterFetch.move("Failed"),
}
SEEN = {
    "processed": AfterFetch.mark_seen(),
    "filtered": AfterFetch.mark_seen(),
    "quarantined": AfterFetch.move("Failed"),
}
DELETE = {
    "processed": AfterFetch.delete(),
    "filtered": AfterFetch.delete(),
    "quarantined": AfterFetch.move("Failed"),
}
LATER = tuple(make_message(subject=f"later {number}", text=f"word-{number}\n") for number in (5, 6))
STORED = {"acknowledge_when": AcknowledgeWhen.STORED}
MODES = {
    "keep": {},
    "seen": SEEN,
    "move": MOVE,
    "delete": DELETE,
    "seen when stored": {**SEEN, **STORED},
    "move when stored": {**MOVE, **STORED},
}
SERVERS = [pytest.param("dovecot", marks=pytest.mark.dovecot), "fake"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", MODES)
def test_a_kill_at_any_step_loses_and_doubles_nothing(lab, enumerate_kills, server, mode):
    """F1, F2: whenever it dies, and dies again in the resume, a resume ends where all is well."""
    twice = {"move": (1, 6), "seen": (1, 2), "keep": (1, 2), "delete": (1, 2)}
    enumerate_kills(Scenario(lab=lab(server), inbound=MODES[mode]), short=5, second=twice.get(mode))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", ["keep", "delete"])
def test_a_kill_on_pop3_loses_and_doubles_nothing(lab, enumerate_kills, server, mode):
    """F1, F2, F44: what POP3 deletes only when the session is left is there for the resume."""
    enumerate_kills(
        Scenario(
            lab=lab(server, protocol=MailProtocol.POP3),
            inbound={} if mode == "keep" else {**DELETE, "quarantined": AfterFetch.keep()},
            settles_late=True,
        ),
        short=5,
        second=(1, 4) if mode == "delete" else None,
    )


@pytest.mark.parametrize("server", SERVERS)
def test_a_kill_before_new_unique_ids_doubles_nothing(lab, enumerate_kills, server):
    """F3, F45: when POP3 gives every mail a new id after each death, known mail stays known."""
    enumerate_kills(
        Scenario(
            lab=lab(server, protocol=MailProtocol.POP3),
            inbound={},
            between=lambda case: case.mailbox.renumber(),
            settles_late=True,
        ),
        short=5,
    )


@pytest.mark.parametrize(
    ("mode", "without"),
    [("move", ("MOVE",)), ("move", ("MOVE", "UIDPLUS")), ("delete", ("UIDPLUS",))],
)
def test_a_kill_on_a_poor_server_loses_and_doubles_nothing(lab, enumerate_kills, mode, without):
    """F1, F40: a copy may stay where mail is moved without MOVE; nothing else differs."""
    enumerate_kills(
        Scenario(
            lab=lab("fake", without=without),
            inbound=MODES[mode],
            copies_may_stay="MOVE" in without,
        ),
        short=5,
        second=(1, 2),
    )


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", ["keep", "seen", "move"])
def test_a_kill_before_a_new_numbering_doubles_nothing(lab, enumerate_kills, server, mode):
    """F3: when the server numbers its mail anew after each death, known mail stays known."""
    enumerate_kills(
        Scenario(
            lab=lab(server),
            inbound=MODES[mode],
            between=lambda case: case.mailbox.renumber(),
        ),
        short=5,
        second=(1, 2) if mode == "keep" else None,
    )


@pytest.mark.dovecot
def test_a_kill_and_a_lost_index_change_nothing(lab, enumerate_kills):
    """F3: when Dovecot loses its index and keeps the UIDs, nothing is lost or doubled."""
    enumerate_kills(
        Scenario(
            lab=lab("dovecot"),
            inbound=MOVE,
            between=lambda case: case.mailbox.lose_index(),
        ),
        short=5,
    )


@pytest.mark.parametrize("server", SERVERS)
def test_a_kill_in_the_middle_of_pop3_loses_and_doubles_nothing(lab, tally, is_long, server):
    """F44: half a DELE sent, an answer to QUIT never read: a resume ends where all is well."""
    found = Enumeration(
        Scenario(
            lab=lab(server, protocol=MailProtocol.POP3),
            inbound={**DELETE, "quarantined": AfterFetch.keep()},
            settles_late=True,
        )
    ).on_the_wire(most=150 if is_long else 5)
    tally.add(found)
    assert found.clean, "\n".join(found.odd[:20])
    assert found.kills


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", ["seen", "move", "delete"])
def test_a_kill_in_the_middle_of_a_command_loses_and_doubles_nothing(
    lab, tally, is_long, server, mode
):
    """F1: half a command line sent, an answer half read or never: a resume ends where all is well."""
    found = Enumeration(Scenario(lab=lab(server), inbound=MODES[mode])).on_the_wire(
        most=150 if is_long else 5
    )
    tally.add(found)
    assert found.clean, "\n".join(found.odd[:20])
    assert found.kills


def _restored(case):
    """Come back from a backup: a UID that we know is another mail's now."""
    case.mailbox.back_up()
    case.mailbox.deliver(LATER[0])
    assert case.live().error == ""
    case.mailbox.restore()
    case.mailbox.deliver(LATER[1])


@pytest.mark.dovecot
@pytest.mark.parametrize("mode", ["keep", "seen"])
def test_a_kill_after_a_restored_backup_loses_and_doubles_nothing(lab, enumerate_kills, mode):
    """F13: a known UID has become another mail's, UIDVALIDITY and UIDNEXT are as before."""
    enumerate_kills(
        Scenario(lab=lab("dovecot"), inbound=MODES[mode], prelude=_restored, outcomes=7), short=5
    )


def _rendered_anew(case):
    assert case.live().error == ""
    case.mailbox.rerender()
    case.mailbox.deliver(LATER[0])


@pytest.mark.parametrize("mode", ["keep", "seen"])
def test_a_kill_while_mail_is_shown_in_other_bytes_doubles_nothing(lab, enumerate_kills, mode):
    """F61: the server numbers anew and shows known mail in other bytes: it stays known."""
    enumerate_kills(
        Scenario(lab=lab("fake"), inbound=MODES[mode], prelude=_rendered_anew, outcomes=6), short=5
    )


class _EagerSession:
    """Acknowledge each mail when it is read: before it is stored."""

    def __init__(self, session):
        self._session = session

    @property
    def features(self):
        return self._session.features

    def read(self, uids):
        for mail in self._session.read(uids):
            self._session.ensure_folder("Done")
            self._session.move([mail.uid], "Done")
            yield mail

    def __getattr__(self, name):
        return getattr(self._session, name)


class _Eager(Recipe):
    def session(self, session):
        return _EagerSession(session)


class _Forgetful(Recipe):
    class storage(SqliteStorage):  # noqa: N801 - a recipe names its parts
        """Know a mail by its place alone."""

        def intake_put(self, mails, *, lease, **how):
            placed = [
                attrs.evolve(
                    mail,
                    identity=attrs.evolve(
                        mail.identity,
                        fingerprint=f"{mail.position.generation}-{mail.position.uid}".rjust(
                            64, "0"
                        ),
                    ),
                )
                for mail in mails
            ]
            return super().intake_put(placed, lease=lease, **how)


def test_the_enumeration_finds_mail_that_is_acknowledged_too_early(lab):
    """A run that moves a mail before it is stored is caught: mail is lost."""
    found = Enumeration(Scenario(lab=lab("fake"), inbound=MOVE, recipe=_Eager())).single(most=40)
    assert found.lost
    assert not found.clean


def test_the_enumeration_finds_mail_that_is_known_by_its_place_alone(lab):
    """A storage without fingerprints is caught when the server numbers anew: mail is doubled."""
    found = Enumeration(
        Scenario(
            lab=lab("fake"),
            inbound={},
            recipe=_Forgetful(),
            between=lambda case: case.mailbox.renumber(),
        )
    ).single(most=14)
    assert found.doubled
    assert not found.clean
