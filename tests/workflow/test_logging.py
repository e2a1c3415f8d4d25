"""What is logged: every event with its attributes, and never content or a secret."""

import logging

import pytest

from mailrouting.connect import StaticCredentials, opener
from mailrouting.errors import ConnectError
from mailrouting.fetch import FetchLimits
from mailrouting.hooks import Event
from mailrouting.reading import read
from mailrouting.testing import AttachedFile, make_message
from mailrouting.testing.loopback import LoopbackImap

MARKER = "planted-marker-7c1e"
SECRET = "correct horse"  # what the fake server takes


def _all_of(records):
    """Return everything that a handler could write of these records."""
    plain = logging.makeLogRecord({}).__dict__
    formatter = logging.Formatter()
    for record in records:
        yield formatter.format(record)
        yield from (repr(value) for key, value in record.__dict__.items() if key not in plain)


@pytest.fixture
def records(caplog):
    """Return what gives all records of all loggers, from DEBUG on."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.records


def _marked(address, **changes):
    return make_message(
        **{
            "subject": f"{MARKER} subject",
            "from_": f"{MARKER} <{MARKER}@customer.example>",
            "to": address,
            "text": f"{MARKER} text\n",
            "attachments": [AttachedFile(f"{MARKER}.txt", MARKER.encode(), "text/plain")],
            **changes,
        }
    )


def test_nothing_of_a_mail_is_logged_whatever_happens_to_it(world, records):
    """Converted, failed, quarantined, appeared again: the log has rows and words of ours."""
    address = world.add("help")
    for number in range(3):
        world.server.deliver(_marked(address, subject=f"{MARKER} {number}"), to=address)

    def poison(raw, *, limits, helpers):

        if f"{MARKER} 1".encode() in raw:
            raise ValueError(raw.decode())
        return read(raw, limits=limits, helpers=helpers)

    def broken_hook(*_):
        raise ValueError(MARKER)

    for _ in range(3):
        world.run(reader=poison, limits=FetchLimits(max_attempts=2))
        world.clock.advance(seconds=86_400)
    world.desk.open_ticket = broken_hook
    world.server.deliver(_marked(address, subject=f"{MARKER} again"), to=address)
    world.run()
    events = {getattr(record, "event", None) for record in records()}
    assert events >= {"converted", "failed", "quarantined"}
    assert [text for text in _all_of(records()) if MARKER in text] == []


def test_no_secret_is_logged_when_a_login_works_or_not(world, records):
    """A real client at a loopback server: neither password nor mail is in any logger."""
    address = world.add("help")
    world.server.deliver(_marked(address), to=address)
    with LoopbackImap(world.server) as loopback:
        world.change(endpoint=loopback.endpoint)
        open_session = opener(StaticCredentials({"help": SECRET}))
        assert world.run(open_session=open_session).error is None
        world.server.refuse_login(address)
        world.clock.advance(seconds=86_400)
        world.run(open_session=open_session)
    assert any(getattr(record, "event", None) == "account-failed" for record in records())
    assert [text for text in _all_of(records()) if MARKER in text or SECRET in text] == []


def test_a_record_says_account_event_and_detail_as_attributes(world, records):
    """For whoever writes logs as JSON; trouble is a warning, the rest is information."""

    def down(_):
        raise ConnectError("refused")

    world.add("help")
    world.run(open_session=down)
    [record] = [one for one in records() if hasattr(one, "event")]
    assert record.name.startswith("mailrouting.")
    assert (record.account_id, record.event, record.detail) == (
        "help",
        Event.ACCOUNT_FAILED.value,
        "ConnectError",
    )
    assert record.levelno == logging.WARNING
