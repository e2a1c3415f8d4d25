"""`mailrouting fetch` against a real server: what goes wrong has a name, a hint and no company."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from mailrouting.cli.main import main
from mailrouting.testing import make_message

pytestmark = pytest.mark.dovecot

ACCOUNT = """
[accounts.{name}]
address = "{name}@corp.example"
password_env = "{secret}"

[accounts.{name}.inbound]
protocol = "imap"
endpoint = "imaps://localhost:{port}"
login = '{login}'
folder = "{folder}"
first_run = "all"
processed = {{ action = "move", folder = "Done" }}
"""


@pytest.fixture
def write(dovecot, tmp_path):
    """Return a function that writes a configuration of named accounts."""

    def write(*accounts, ca_file=dovecot.ca_file):
        text = f'ca_file = "{ca_file}"\n' if ca_file else ""
        for changes in accounts:
            name = changes["name"]
            settings = {
                "secret": "GOOD",
                "port": dovecot.tls_port,
                "login": rf"{dovecot.master}\{name}@corp.example",
                "folder": "INBOX",
            }
            text += ACCOUNT.format(**{**settings, **changes})
        path = tmp_path / "desk.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def fetch(dovecot):
    """Return a function that fetches and returns exit status and rows by account."""

    def fetch(path, *options):
        secrets = {**os.environ, "GOOD": dovecot.password, "BAD": "wrong-marker-77"}
        result = CliRunner().invoke(
            main, ["fetch", "--json", "--config", str(path), *options], env=secrets
        )
        assert "wrong-marker-77" not in result.output
        assert dovecot.password not in result.output
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        return result.exit_code, {row["account"]: row for row in rows}

    return fetch


def test_each_fault_has_its_name_and_hint_and_harms_no_other_account(dovecot, write, fetch):
    """Unreachable, wrong password and missing folder differ; the good account gets its mail."""
    dovecot.deliver(make_message(subject="safe"), to="good@corp.example")
    path = write(
        {"name": "away", "port": 1},
        {"name": "locked", "secret": "BAD"},
        {"name": "lost", "folder": "No such folder"},
        {"name": "good"},
    )
    status, rows = fetch(path)
    assert status == 1
    assert {name: row["error"] and row["error"]["type"] for name, row in rows.items()} == {
        "away": "ConnectError",
        "locked": "AuthenticationError",
        "lost": "FolderNotFoundError",
        "good": None,
    }
    assert all(row["error"]["hint"] for row in rows.values() if row["error"])
    assert "INBOX" in rows["lost"]["error"]["available"]
    assert "'INBOX'" in rows["lost"]["error"]["hint"]
    assert rows["good"]["outcomes"] == {"created": 1}
    with closing(sqlite3.connect(path.parent / "mailrouting.sqlite")) as state:
        health = dict(state.execute("select account_id, health from mailrouting_health"))
    assert {name: json.loads(text)["state"] for name, text in health.items()} == {
        "away": "degraded",
        "locked": "auth-failed",
        "lost": "misconfigured",
        "good": "ok",
    }


def test_a_certificate_that_is_not_trusted_ends_the_account(write, fetch):
    """Without the private CA nothing is sent: a TlsError with a hint."""
    status, rows = fetch(write({"name": "untrusted"}, ca_file=None))
    assert status == 1
    assert rows["untrusted"]["error"]["type"] == "TlsError"
    assert rows["untrusted"]["error"]["hint"]


def test_mended_settings_work_at_once(dovecot, write, fetch):
    """After a refused login the right password fetches the mail, and health is ok again."""
    dovecot.deliver(make_message(subject="late"), to="mended@corp.example")
    assert fetch(write({"name": "mended", "secret": "BAD"}))[0] == 1
    path = write({"name": "mended"})
    status, rows = fetch(path)
    assert (status, rows["mended"]["outcomes"]) == (0, {"created": 1})
    assert fetch(path)[1]["mended"]["stored"] == 0


def test_an_unreadable_mail_is_quarantined_with_its_bytes(dovecot, write, fetch):
    """A mail without any header is set aside, raw bytes kept, and the server is told."""
    raw = b"no header at all\x01 \xff\xfe just bytes\r\n"
    dovecot.deliver(raw, to="broken@corp.example")
    path = write({"name": "broken"})
    status, rows = fetch(path)
    assert (status, rows["broken"]["outcomes"]) == (0, {"quarantined": 1})
    with closing(sqlite3.connect(path.parent / "mailrouting.sqlite")) as state:
        kept = state.execute("select raw from mailrouting_raw").fetchall()
    assert kept == [(raw,)]


def test_a_preview_counts_and_changes_nothing(dovecot, write):
    """Each mailbox has its counts, one that is away its error; nothing is read or kept."""
    dovecot.deliver(make_message(subject="waits"), to="first@corp.example")
    path = write({"name": "first"}, {"name": "away", "port": 1})
    secrets = {**os.environ, "GOOD": dovecot.password}
    arguments = ["fetch", "--preview", "--json", "--config", str(path)]
    done = CliRunner().invoke(main, arguments, env=secrets)
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {"account": "first", "total": 1, "older": 0, "would_take": 1}
    assert "away: ConnectError" in done.stderr
    assert not (path.parent / "mailrouting.sqlite").exists()


def test_a_rescan_is_accepted_by_command(dovecot, write, fetch):
    """Mail from before that a new numbering brings up stops the account until somebody says yes."""
    path = write({"name": "renumbered", "login": rf"{dovecot.master}\renumbered@corp.example"})
    assert fetch(path)[0] == 0
    with closing(sqlite3.connect(path.parent / "mailrouting.sqlite")) as state:
        state.execute("update mailrouting_mailbox set uidvalidity = 1")
        state.commit()
    for number in range(51):
        raw = make_message(
            subject=f"strange {number}",
            headers={"Received": "from a by b; Thu, 1 Jan 2026 08:30:00 +0000"},
        )
        dovecot.deliver(
            raw, to="renumbered@corp.example", received_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
    status, rows = fetch(path)
    assert (status, rows["renumbered"]["stored"]) == (1, 0)
    assert "--accept-rescan" in rows["renumbered"]["error"]["hint"]
    status, rows = fetch(path, "--account", "renumbered", "--accept-rescan")
    assert (status, rows["renumbered"]["outcomes"]) == (0, {"created": 51})
