"""A server that numbers a mailbox anew, restores a backup or renders mail anew: nothing lost, nothing twice."""

import re
from datetime import UTC, date, datetime, timedelta

import attrs
import pytest

from mailrouting.accounts import AfterFetch, FirstRun
from mailrouting.auth import MailProtocol
from mailrouting.errors import AccountError
from mailrouting.fetch import FetchLimits, RunStatus
from mailrouting.health import HealthState
from mailrouting.hooks import Event
from mailrouting.records import OutcomeKind
from mailrouting.testing import make_message

HELP = "help@desk.example"
OLD = datetime(2026, 2, 1, tzinfo=UTC)
MODES = {
    "keep": {},
    "seen": {"processed": AfterFetch.mark_seen()},
    "move": {"processed": AfterFetch.move("Done")},
    "pop3": {"protocol": MailProtocol.POP3},
}


def mail(number, *, received="Mon, 2 Mar 2026 08:30:00 +0000", **how):
    """Make a mail as a delivering server leaves it."""
    return make_message(
        subject=f"mail {number}",
        message_id=f"{number}@customer.example",
        headers={"Received": f"from a by b with ESMTP id Q{number}; {received}"},
        **how,
    )


def deliver(world, *numbers, received_at=None, to=HELP, **how):
    """Put mails on the server."""
    for number in numbers:
        world.server.deliver(mail(number, **how), to=to, received_at=received_at or world.clock())


def inbox(world):
    """Return the server's folder itself."""
    return world.server.state.mailboxes[HELP].folders["INBOX"]


def snapshot(world):
    """Return what a backup would hold."""
    folder = inbox(world)
    return dict(folder.mails), folder.uidnext


def restore(world, backup):
    """Put a backup back: same UIDVALIDITY, older UIDNEXT."""
    folder = inbox(world)
    folder.mails, folder.uidnext = dict(backup[0]), backup[1]


def render_anew(world):
    """Change the bodies and line ends of all mails, as a migrated server may."""
    folder = inbox(world)
    for number, one in folder.mails.items():
        raw = one.raw.replace(b"7bit", b"8bit").replace(
            b"\r\n\r\n", b"\r\nX-Mailer-Daemon: 1\r\n\r\n", 1
        )
        folder.mails[number] = attrs.evolve(one, raw=raw + b"--\r\nscanned\r\n")


def subjects(world):
    """Return the tickets' subjects, sorted."""
    return sorted(world.desk.subjects)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [1, -5])
def test_f11_another_uidvalidity_opens_nothing_twice(world, mode, step):
    """F11: larger or smaller, another UIDVALIDITY is a new numbering; old mail is known again."""
    world.add(**MODES[mode])
    deliver(world, 1, 2)
    world.run()
    world.server.roll_uidvalidity(HELP)
    inbox(world).uidvalidity += step
    deliver(world, 3)
    world.run()
    world.run()
    assert subjects(world) == ["mail 1", "mail 2", "mail 3"]


def test_f12_a_uidnext_that_goes_back_begins_anew(world):
    """F12: a restored backup is read again: what is known stays one ticket, what is gone stays."""
    world.add()
    deliver(world, 1)
    world.run()
    backup = snapshot(world)
    deliver(world, 2)
    world.run()
    restore(world, backup)
    report = world.run()
    assert (report.stored, report.reappeared) == (0, 1)
    assert subjects(world) == ["mail 1", "mail 2"]
    assert ("help", Event.RESCAN, "numbering 2") in world.desk.events


@pytest.mark.parametrize("mode", ["keep", "seen"])
def test_f13_a_reused_uid_is_seen_by_its_header(world, mode):
    """F13: a backup is restored and filled up: same UIDVALIDITY and UIDNEXT, another mail there."""
    world.add(**MODES[mode])
    deliver(world, 1)
    world.run()
    backup = snapshot(world)
    deliver(world, 2)
    world.run()
    restore(world, backup)
    deliver(world, 3)
    report = world.run()
    assert report.status is RunStatus.DONE
    assert subjects(world) == ["mail 1", "mail 2", "mail 3"]
    assert world.run().stored == 0


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("named", [True, False])
def test_f45_a_unique_id_of_deleted_mail_that_is_given_out_again_costs_no_mail(world, runs, named):
    """F45: RFC 1939 lets a server name new mail as it named what is gone: it is read, then deleted."""
    world.add(protocol=MailProtocol.POP3, processed=AfterFetch.delete())
    raws = [mail(number) if named else make_message(subject=f"mail {number}") for number in (1, 2)]
    if not named:
        raws = [re.sub(rb"Message-ID:.*\r\n", b"", raw) for raw in raws]
    before = snapshot(world)
    world.server.deliver(raws[0], to=HELP)
    for _ in range(runs):  # the deletion is known to be done one run later
        world.run()
    restore(world, (inbox(world).mails, before[1]))
    world.server.deliver(raws[1], to=HELP)
    for _ in range(2):
        world.clock.advance(seconds=3600)
        world.run()
    assert subjects(world) == ["mail 1", "mail 2"]
    assert not inbox(world).mails


def give_unique_id_again(world, number, mail):
    """Let somebody delete a mail, and the server name a new one as it named that."""
    folder = inbox(world)
    uidnext = folder.uidnext
    del folder.mails[number]
    folder.uidnext = number
    world.server.deliver(mail, to=HELP)
    folder.uidnext = uidnext


@pytest.mark.parametrize(
    "mode", [{}, {"processed": AfterFetch.keep(), "filtered": AfterFetch.delete()}]
)
def test_f45_a_unique_id_of_kept_mail_that_is_given_out_again_is_seen_by_its_size(world, mode):
    """F45: kept mail that somebody deletes, and whose unique-id a new mail gets: that one is read."""
    world.add(protocol=MailProtocol.POP3, **mode)
    deliver(world, 1, 2, 3)
    world.run()
    give_unique_id_again(world, 2, mail(4, text="a longer one"))
    report = world.run()
    assert (report.status, report.stored) == (RunStatus.DONE, 1)
    assert subjects(world) == ["mail 1", "mail 2", "mail 3", "mail 4"]
    assert ("help", Event.RESCAN, "numbering 2") in world.desk.events
    assert world.run().reappeared == 0


def test_unique_ids_that_are_places_in_the_mailbox_cost_no_mail(world):
    """Where all names move up when a mail goes, that is seen although many sizes differ."""
    world.add(protocol=MailProtocol.POP3, max_per_fetch=500)
    raws = [mail(number, text="x" * number) for number in range(60)]
    for raw in raws:
        world.server.deliver(raw, to=HELP)
    world.run()
    folder = inbox(world)
    places = list(folder.mails.values())
    del folder.mails[60]
    kept = [one.raw for one in places[1:]]
    for number, raw in enumerate(kept, 1):
        folder.mails[number] = attrs.evolve(folder.mails[number], raw=raw)
    world.server.deliver(mail(60), to=HELP)
    folder.mails[60] = attrs.evolve(folder.mails.pop(61), uid="60", unique_id=places[59].unique_id)
    assert world.run().stored == 1
    assert len(world.desk.tickets) == 61


class WaveringSizes:
    """Be a POP3 session of a server that counts octets in its own way, another at each login."""

    def __init__(self, session, off):
        self._session = session
        self._off = off

    def __getattr__(self, name):
        return getattr(self._session, name)

    def stat(self, uids):
        return tuple(
            attrs.evolve(info, size=info.size + self._off) for info in self._session.stat(uids)
        )


@pytest.mark.parametrize("cut", [b"Message-ID", b"X-Nothing"])
def test_a_server_whose_sizes_waver_is_asked_for_twenty_headers_a_poll(world, cut):
    """A size alone proves nothing: what has another one is looked at, the latest twenty."""
    world.add(protocol=MailProtocol.POP3, max_per_fetch=500)
    for number in range(30):
        raw = re.sub(cut + rb":.*\r\n", b"", make_message(subject=f"mail {number}"))
        world.server.deliver(raw, to=HELP)
    offsets = iter([0, 7, -3])
    world.opener = lambda account: WaveringSizes(world.server.open_session(account), next(offsets))
    world.run()
    for _ in range(2):
        world.server.forget_commands()
        report = world.run()
        assert (report.status, report.stored) == (RunStatus.DONE, 0)
        verbs = world.verbs()
        assert "RETR" not in verbs
        assert verbs.count("TOP") == (20 if cut == b"X-Nothing" else 0)
    assert Event.RESCAN not in [event for _, event, _ in world.desk.events]


def test_mail_that_a_gateway_shows_with_another_header_each_time_is_no_other_mail(world):
    """A scanner between us and the server may add a Received field of the moment."""
    world.add(protocol=MailProtocol.POP3)
    deliver(world, 1)
    world.run()
    folder = inbox(world)
    for moment in range(2):
        one = folder.mails[1]
        folder.mails[1] = attrs.evolve(one, raw=b"Received: by scanner; %d\r\n" % moment + one.raw)
        assert world.run().stored == 0
    assert Event.RESCAN not in [event for _, event, _ in world.desk.events]


def test_mail_whose_deletion_was_undone_is_deleted_and_not_read_again(world):
    """The same mail under the same unique-id is no new numbering."""
    world.add(protocol=MailProtocol.POP3, processed=AfterFetch.delete())
    deliver(world, 1)
    world.server.drop_connection(before="QUIT")
    world.run()
    world.server.forget_commands()
    world.clock.advance(seconds=3600)
    world.run()
    assert not inbox(world).mails
    assert "RETR" not in [record.verb for record in world.server.commands]
    assert Event.RESCAN not in [event for _, event, _ in world.desk.events]


def test_the_probe_looks_at_twenty_headers_and_reads_no_body(world):
    """A poll of a kept mailbox costs one question for the latest headers."""
    world.add(max_per_fetch=500)
    deliver(world, *range(30))
    world.run()
    world.server.forget_commands()
    world.run()
    fetches = [record.arguments for record in world.server.commands if record.verb == "FETCH"]
    assert fetches == [("11:30", "BODY.PEEK[HEADER]")]
    assert Event.RESCAN not in [event for _, event, _ in world.desk.events]


def test_a_header_that_the_server_cuts_otherwise_is_no_new_numbering(world):
    """Where a header's end is in doubt the whole mail decides, so nothing is read anew each poll."""
    world.add()
    deliver(world, 1)
    world.run()

    class Cuts:
        def __init__(self, session):
            self._session = session

        def __getattr__(self, name):
            return getattr(self._session, name)

        def read_headers(self, uids):
            return ((uid, b"Subject: cut\r\n\r\n") for uid, _ in self._session.read_headers(uids))

    opener = world.opener
    world.opener = lambda account: Cuts(opener(account))
    assert world.run().reappeared == 0
    assert Event.RESCAN not in [event for _, event, _ in world.desk.events]


@pytest.mark.parametrize("mode", ["keep", "seen", "pop3"])
def test_f61_mail_that_a_server_renders_anew_is_known(world, mode):
    """F61: other bytes, same delivery: after a new numbering no second ticket."""
    world.add(**MODES[mode])
    deliver(world, 1, 2)
    world.run()
    render_anew(world)
    world.server.roll_uidvalidity(HELP)
    deliver(world, 3)
    report = world.run()
    assert (report.stored, report.reappeared) == (1, 2)
    assert subjects(world) == ["mail 1", "mail 2", "mail 3"]


def test_two_deliveries_of_one_message_id_stay_two(world):
    """A mail that came after the numbering began counts by its bytes, whatever ids it copies."""
    world.add()
    deliver(world, 1)
    world.run()
    world.server.roll_uidvalidity(HELP)
    world.run()
    world.server.deliver(mail(1, text="another text"), to=HELP, received_at=world.clock())
    report = world.run()
    assert report.stored == 1


def test_f57_the_cutoff_holds_after_a_new_numbering(world):
    """F57: mail older than the first run's cut-off stays out in every generation."""
    world.add(first_run=FirstRun.since_date(date(2026, 2, 10)))
    deliver(world, 1, 2, received_at=OLD)
    deliver(world, 3)
    assert (world.run().stored, world.desk.subjects) == (1, ["mail 3"])
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.stored, report.too_old) == (0, 2)


@pytest.mark.parametrize("first_run", [FirstRun.only_new(), FirstRun.since_date(date(2026, 2, 10))])
def test_f57_the_cutoff_holds_on_pop3_by_the_header(world, first_run):
    """F57: POP3 tells no arrival; after a new numbering the topmost Received field does."""
    world.add(protocol=MailProtocol.POP3, first_run=first_run)
    deliver(world, 1, 2, received="Sun, 1 Feb 2026 08:30:00 +0000")
    assert world.run().too_old == 2
    world.clock.advance(seconds=7200)
    deliver(world, 3, received="Mon, 2 Mar 2026 10:30:00 +0000")
    assert world.run().stored == 1
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.stored, report.too_old, report.reappeared) == (0, 2, 1)


def old_mailbox(world, count=60, **mode):
    """Let a mailbox come back, numbered anew, with much old mail that was never seen."""
    world.add(max_per_fetch=20, **mode)
    deliver(world, 0)
    world.run()
    deliver(world, *range(1, count), received_at=OLD, received="Sun, 1 Feb 2026 08:30:00 +0000")
    world.server.roll_uidvalidity(HELP)


@pytest.mark.parametrize("mode", ["keep", "pop3"])
def test_f58_a_rescan_with_much_old_mail_stops_and_asks(world, mode):
    """F58: more than 50 unknown mails older than a day: nothing is taken in until somebody says so."""
    old_mailbox(world, **MODES[mode])
    for _ in range(2):
        report = world.run()
        assert (report.status, report.stored) == (RunStatus.FAILED, 0)
        assert isinstance(report.error, AccountError)
        assert "59 mails" in report.because
        assert "accept_rescan" in report.error.hint
    assert world.storage.health("help").state is HealthState.MISCONFIGURED
    assert ("help", Event.RESCAN_STOPPED, "numbering 2") in world.desk.events
    report = world.fetcher().run("help", accept_rescan=True)
    assert (report.status, report.stored, report.reappeared) == (RunStatus.DONE, 59, 1)
    assert world.run().stored == 0
    assert len(world.desk.tickets) == 60
    assert world.storage.health("help").state is HealthState.OK
    assert not any(ticket.draft.may_autorespond for ticket in list(world.desk.tickets.values())[1:])


def test_f58_old_mail_that_is_known_or_fresh_is_no_flood(world):
    """What has a row, and what came today, does not count; fifty are let in."""
    world.add(max_per_fetch=500)
    deliver(world, *range(60), received_at=OLD)
    world.run()
    deliver(world, *range(100, 160))
    deliver(world, *range(200, 250), received_at=OLD)
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.status, report.stored, report.reappeared) == (RunStatus.DONE, 110, 60)


def test_f58_the_number_is_the_hosts(world):
    """`FetchLimits.rescan_mails` says how many are too many."""
    old_mailbox(world, count=5)
    assert world.run(limits=FetchLimits(rescan_mails=3)).status is RunStatus.FAILED
    assert world.run(limits=FetchLimits(rescan_mails=4)).stored == 4


def test_a_lost_index_on_pop3_is_a_new_numbering(world):
    """All unique-ids change: everything is read again and known, and told as a rescan."""
    world.add(protocol=MailProtocol.POP3)
    deliver(world, 1, 2)
    world.run()
    world.server.roll_uidvalidity(HELP)
    assert world.run().reappeared == 2
    assert ("help", Event.RESCAN, "numbering 2") in world.desk.events
    assert world.run().reappeared == 0


def test_pop3_that_deletes_knows_no_new_numbering(world):
    """Where mail is deleted, that none of the known is listed means nothing."""
    world.add(protocol=MailProtocol.POP3, processed=AfterFetch.delete())
    for number in range(3):
        deliver(world, number)
        world.run()
        world.run()
    assert len(world.desk.tickets) == 3
    assert Event.RESCAN not in [event for _, event, _ in world.desk.events]


def test_a_rescan_goes_on_in_the_next_run(world):
    """A rescan of more than `max_per_fetch` goes on; nothing is opened twice on the way."""
    world.add(max_per_fetch=5)
    deliver(world, *range(12))
    for _ in range(3):
        world.run()
    world.server.roll_uidvalidity(HELP)
    deliver(world, 12)
    counts = [(report.stored, report.reappeared) for report in (world.run() for _ in range(4))]
    assert counts == [(0, 5), (0, 5), (1, 2), (0, 0)]
    assert len(world.desk.tickets) == 13


def test_a_rescan_reopens_nothing(world):
    """Quarantined and filtered mail that a new numbering brings up again keeps its outcome."""
    world.add()
    world.server.deliver(b"\x00", to=HELP)
    world.server.deliver(make_message(from_=HELP), to=HELP)
    world.run()
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.reappeared, report.reopened) == (2, 0)
    assert world.outcomes() == [OutcomeKind.QUARANTINED, OutcomeKind.FILTERED]


def test_f10_a_numbering_that_changes_while_the_folder_is_open(world):
    """F10: the server hangs up; the next run reads all again and opens nothing twice."""
    world.add()
    deliver(world, *range(4))
    seen = []

    def prepare(draft):
        if not seen:
            seen.append(draft)
            world.server.roll_uidvalidity(HELP)
        return draft

    world.desk.on_prepare = prepare
    world.run(limits=FetchLimits(batch_mails=2))
    world.clock.advance(seconds=3600)
    assert world.run().status is RunStatus.DONE
    assert subjects(world) == [f"mail {number}" for number in range(4)]


def test_a_flood_is_counted_after_the_cutoff(world):
    """Mail that the cut-off leaves out is no part of the flood."""
    world.add(first_run=FirstRun.since_date(date(2026, 2, 10)), max_per_fetch=500)
    deliver(world, 0)
    world.run()
    deliver(world, *range(1, 80), received_at=OLD)
    deliver(world, *range(100, 110), received_at=world.clock() - timedelta(days=3))
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.status, report.stored, report.too_old) == (RunStatus.DONE, 10, 79)
