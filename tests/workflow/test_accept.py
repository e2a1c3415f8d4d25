"""Mail that is pushed: durable when it is accepted, and converted like any other."""

import attrs
import pytest

from mailrouting.accounts import EmailAccount
from mailrouting.addresses import NamedAddress
from mailrouting.errors import AccountError, RecordNotFoundError, StorageUnavailableError
from mailrouting.reading import ReadingLimits
from mailrouting.records import Envelope, IntakeState, OutcomeKind, PutStatus
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import make_message

RECEIVED = {"Received": "from a by b with ESMTP id Q1; Mon, 2 Mar 2026 08:30:00 +0000"}


@pytest.fixture
def pushed(world):
    """Return a world with one account that has no mailbox."""
    world.put(EmailAccount(id="push", address=NamedAddress.parse("push@desk.example")))
    return world


def test_an_accepted_mail_is_durable_and_waits(pushed):
    """The row is there with its envelope before anything is converted; the next convert opens."""
    raw = make_message(headers=RECEIVED)
    envelope = Envelope(recipients=("push@desk.example",), reverse_path="carla@customer.example")
    accepted = pushed.fetcher().accept(raw, account="push", envelope=envelope)
    assert (accepted.status, accepted.converted) == (PutStatus.CREATED, None)
    row = pushed.storage.intake_row(accepted.intake_id)
    assert (row.state, row.envelope, row.received_at) == (
        IntakeState.WAITING,
        envelope,
        pushed.clock(),
    )
    assert pushed.storage.intake_raw(row.id) == raw
    assert not pushed.desk.tickets
    [converted] = pushed.fetcher().convert(["push"])
    assert converted.outcome.kind is OutcomeKind.CREATED


def test_an_envelope_that_is_no_text_refuses_no_mail(pushed):
    """Octets of an address that no storage keeps are replaced: the mail is taken in."""
    envelope = Envelope(recipients=("\udcfc@desk.example",), reverse_path="a\0@customer.example")
    accepted = pushed.fetcher().accept(make_message(), account="push", envelope=envelope)
    kept = pushed.storage.intake_row(accepted.intake_id).envelope
    assert kept == Envelope(
        recipients=("\ufffd@desk.example",), reverse_path="a\ufffd@customer.example"
    )


def test_an_accepted_mail_is_converted_at_once_when_asked(pushed):
    """Its outcome is told, and no server is spoken to; a failure is told too."""
    accepted = pushed.fetcher().accept(make_message(), account="push", convert=True)
    assert accepted.converted.outcome.kind is OutcomeKind.CREATED
    assert pushed.server.commands == ()
    pushed.desk.script = [RuntimeError()]
    failed = pushed.fetcher().accept(make_message(subject="b"), account="push", convert=True)
    assert (failed.converted.outcome, failed.converted.failure.error_type) == (None, "RuntimeError")


def test_the_same_mail_twice_is_one_row(pushed):
    """An MTA that did not hear our yes pushes again: known, one ticket, no second conversion."""
    raw = make_message(headers=RECEIVED)
    first = pushed.fetcher().accept(raw, account="push", convert=True)
    pushed.clock.advance(seconds=3600)
    again = pushed.fetcher().accept(raw, account="push", convert=True)
    assert (again.status, again.intake_id) == (PutStatus.KNOWN, first.intake_id)
    assert again.converted is None
    assert len(pushed.desk.tickets) == 1


def test_mails_alike_without_any_id_are_told_apart_by_their_time(pushed):
    """Two alarms with the same text are two; one that is pushed again with its time is one."""
    raw = b"From: probe@lab.example\r\nTo: push@desk.example\r\nSubject: too hot\r\n\r\n90\r\n"
    fetcher = pushed.fetcher()
    came = pushed.clock()
    first = fetcher.accept(raw, account="push", received_at=came)
    pushed.clock.advance(seconds=60)
    assert fetcher.accept(raw, account="push").status is PutStatus.CREATED
    again = fetcher.accept(raw, account="push", received_at=came)
    assert (again.status, again.intake_id) == (PutStatus.KNOWN, first.intake_id)


def test_pushed_mail_of_an_account_that_takes_none_is_refused(pushed):
    """Unknown, disabled or switched off: an error, and nothing is kept."""
    with pytest.raises(RecordNotFoundError):
        pushed.fetcher().accept(make_message(), account="nobody")
    account = pushed.accounts.directory().account("push")
    pushed.put(attrs.evolve(account, enabled=False))
    with pytest.raises(AccountError, match="disabled") as refused:
        pushed.fetcher().accept(make_message(), account="push")
    assert (refused.value.account_id, bool(refused.value.hint)) == ("push", True)
    pushed.put(account)
    pushed.accounts.replace(attrs.evolve(pushed.accounts.directory(), fetching=False))
    with pytest.raises(AccountError, match="switched off"):
        pushed.fetcher().accept(make_message(), account="push")
    assert pushed.storage.intake_rows() == ()


def test_pushed_mail_that_is_too_large_is_kept_whole(pushed):
    """It becomes a ticket with its header and the reason, and is not answered."""
    raw = make_message(text="x" * 5000)
    accepted = pushed.fetcher(reading=ReadingLimits(size=2000)).accept(
        raw, account="push", convert=True
    )
    assert accepted.converted.outcome.kind is OutcomeKind.OVERSIZED
    assert pushed.storage.intake_raw(accepted.intake_id) == raw


def test_a_storage_that_is_away_accepts_nothing(make_world):
    """The error is raised, so that whoever pushes keeps the mail."""

    class Away(MemoryStorage):
        def intake_put(self, mails, **how):
            raise StorageUnavailableError("the disk is full")

    world = make_world(storage=Away())
    world.put(EmailAccount(id="push", address=NamedAddress.parse("push@desk.example")))
    with pytest.raises(StorageUnavailableError):
        world.fetcher().accept(make_message(), account="push")
    assert world.storage.intake_rows() == ()
