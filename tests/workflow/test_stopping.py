"""A run that is asked to stop, and a reader that is not the usual one."""

import pytest

from mailrouting.fetch import FetchLimits, RunStatus
from mailrouting.reading import read
from mailrouting.records import OutcomeKind
from mailrouting.testing import make_message


@pytest.fixture
def full(world):
    """Return a world with five mails in one mailbox."""
    address = world.add("help")
    for number in range(5):
        world.server.deliver(make_message(subject=f"mail {number}", to=address), to=address)
    return world


def test_a_run_that_is_asked_to_stop_finishes_the_mail_in_hand(full):
    """Whatever was begun has its outcome, the lease is free, and the next run takes the rest."""
    report = full.run(stopping=lambda: len(full.desk.tickets) >= 2)
    assert (report.status, report.outcomes) == (RunStatus.DONE, {OutcomeKind.CREATED: 2})
    again = full.run()
    assert again.status is RunStatus.DONE
    full.clock.advance(seconds=3600)
    full.run()
    assert sorted(full.desk.subjects) == [f"mail {number}" for number in range(5)]


def test_claimed_mail_is_given_back_when_the_run_stops(full):
    """What was claimed together and not tried loses no attempt."""
    full.run(limits=FetchLimits(claim_mails=5), stopping=lambda: bool(full.desk.tickets))
    rows = full.storage.intake_rows()
    assert [row.attempts for row in rows] == [1, 0, 0, 0, 0]
    assert [row.outcome is not None for row in rows] == [True, False, False, False, False]


def test_no_run_begins_while_stopping(full):
    """A fetcher that is stopping opens no session."""
    before = full.verbs()
    report = full.run(stopping=lambda: True)
    assert (report.status, report.because) == (RunStatus.SKIPPED, "the worker is stopping")
    assert full.verbs() == before


def test_the_reader_is_the_one_that_was_passed_in(full):
    """Every mail is read by `reader`, with the fetcher's limits and helpers."""
    seen = []

    def reader(raw, *, limits, helpers):
        seen.append((limits, helpers))
        return read(raw, limits=limits, helpers=helpers)

    fetcher = full.fetcher(reader=reader)
    fetcher.run("help")
    assert seen == [(fetcher.reading, fetcher.helpers)] * 5


def test_a_reader_that_raises_fails_the_attempt_in_its_own_step(full):
    """The failure names the step and the error, and the other mails flow."""

    def reader(raw, *, limits, helpers):
        if b"mail 2" in raw:
            raise RecursionError("deep")
        return read(raw, limits=limits, helpers=helpers)

    report = full.run(reader=reader)
    [failed] = [item for item in report.converted if item.outcome is None]
    assert (failed.failure.step, failed.failure.error_type) == ("read", "RecursionError")
    assert "mail 2" not in full.desk.subjects
    assert len(full.desk.tickets) == 4
