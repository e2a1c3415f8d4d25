"""`mailrouting accept` behind Postfix's pipe(8): the recipe of the guide, tried."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import make_message

pytestmark = pytest.mark.postfix

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "take-mail-from-a-mail-server.md"
CONFIG = """
default_account = "support"

[accounts.support]
address = "Support <support@desk.example>"

[accounts.support.outbound]
endpoint = "smtp.desk.example"
auth = "none"
"""


@pytest.fixture
def desk(tmp_path):
    """Return a folder with a configuration."""
    (tmp_path / "desk.toml").write_text(CONFIG, "utf-8")
    return tmp_path


@pytest.fixture
def postfix(make_postfix, desk):
    """Return a Postfix with the very transport that the guide has."""
    [arguments] = re.findall(r"argv=/srv/desk/.venv/bin/mailrouting (.*)", GUIDE.read_text("utf-8"))
    return make_postfix(arguments.replace("/srv/desk/desk.toml", str(desk / "desk.toml")))


def _kept(desk):
    with SqliteStorage(desk / "mailrouting.sqlite") as storage:
        return [
            (row, bytes(storage.intake_raw(row.id)))
            for row in storage.intake_rows(account_id="support")
        ]


def test_a_mail_that_is_handed_over_becomes_a_ticket(postfix, desk, command):
    """Bytes, reverse-path and recipient are those of the mail server; null stays null."""
    raw = make_message(subject="Printer on fire", to="support@desk.example")
    postfix.submit(raw, to="support@desk.example")
    postfix.wait_for("status=sent")
    postfix.submit(make_message(subject="Again"), to="support@desk.example", sender="")
    postfix.wait_for("status=sent", times=2)
    (first, kept), (second, _) = _kept(desk)
    assert raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2] in kept
    assert b"Delivered-To: support@desk.example\n" in kept
    assert first.envelope.recipients == second.envelope.recipients == ("support@desk.example",)
    assert [row.envelope.reverse_path for row in (first, second)] == ["carla@customer.example", ""]
    done = command("fetch", "--config", desk / "desk.toml")
    assert done.stdout == (
        "support: done, 0 stored, 2 created, 0 to try again, 0 acknowledged\n"
    ), done.stderr
    [ticket, _] = SqliteDesk(desk / "mailrouting.sqlite").tickets()
    assert (ticket.subject, ticket.received_as) == ("Printer on fire", "support@desk.example")


def test_while_the_state_is_locked_the_mail_server_keeps_the_mail(postfix, desk):
    """Deferred, then delivered when asked again: once, and nothing is lost."""
    postfix.submit(make_message(subject="first"), to="support@desk.example")
    postfix.wait_for("status=sent")
    with closing(sqlite3.connect(desk / "mailrouting.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        postfix.submit(make_message(subject="second"), to="support@desk.example")
        [line] = postfix.wait_for("status=deferred")
        assert "temporary failure" in line
        other.execute("ROLLBACK")
    assert len(_kept(desk)) == 1
    postfix.flush()
    postfix.wait_for("status=sent", times=2)
    assert ["second" in raw.decode() for _, raw in _kept(desk)] == [False, True]


def test_a_configuration_that_is_broken_defers_too(postfix, desk):
    """With `--defer` nothing goes back to its sender because of our own fault."""
    (desk / "desk.toml").write_text("no toml", "utf-8")
    postfix.submit(make_message(), to="support@desk.example")
    postfix.wait_for("status=deferred")
    assert "status=bounced" not in postfix.log
    (desk / "desk.toml").write_text(CONFIG, "utf-8")
    postfix.flush()
    postfix.wait_for("status=sent")
    assert len(_kept(desk)) == 1
