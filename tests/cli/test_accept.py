"""`mailrouting accept`: 0 when the mail is on the disk, and else what sysexits.h says."""

import fcntl
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import make_message

RAW = make_message(subject="Printer on fire", to="support@desk.example")
WITHOUT_CLICK = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise ModuleNotFoundError("No module named 'click'", name="click")

sys.meta_path.insert(0, Missing())
from mailrouting.cli import run
run()
"""


@pytest.fixture
def accept(run, config):
    """Return what runs `accept` with a mail on standard input."""

    def accept(*arguments, raw=RAW, account="support"):
        return run("accept", "--config", config, "--account", account, *arguments, input=raw)

    return accept


@pytest.fixture
def kept(config):
    """Return what lists the rows that are kept."""

    def kept():
        with SqliteStorage(config.parent / "state.sqlite") as storage:
            return [(row, storage.intake_raw(row.id)) for row in storage.intake_rows()]

    return kept


def test_the_mail_is_kept_byte_for_byte_with_its_envelope(accept, kept):
    """Status 0 and not a word; the row has account, sender and recipients."""
    done = accept(
        "--sender", "carla@customer.example", "--recipient=a@b.example", "--recipient=c@d"
    )
    assert (done.exit_code, done.output) == (0, "")
    [(row, raw)] = kept()
    assert raw == RAW
    assert row.account_id == "support"
    assert row.outcome is None
    assert row.envelope.recipients == ("a@b.example", "c@d")
    assert row.envelope.reverse_path == "carla@customer.example"


@pytest.mark.parametrize(
    ("arguments", "reverse_path"),
    [((), None), (("--sender", ""), ""), (("--sender", "-x@y.example"), "-x@y.example")],
)
def test_the_reverse_path_is_kept_as_it_was_said(accept, kept, arguments, reverse_path):
    """Nothing said is unknown, an empty one is null, and a dash begins no option."""
    assert accept(*arguments).exit_code == 0
    assert kept()[0][0].envelope.reverse_path == reverse_path


def test_addresses_that_are_no_text_refuse_no_mail(accept, kept):
    """A sender may write octets that are no UTF-8 into his address; no later try would mend that."""
    assert accept("--sender", "m\udcfcller@x.example", "--recipient", "\udcff@y").exit_code == 0
    assert kept()[0][0].envelope.recipients == ("\ufffd@y",)


def test_a_mail_that_is_handed_over_twice_is_kept_once(accept, kept):
    """The server did not hear the first answer: both end well, one row is there."""
    assert [accept().exit_code, accept().exit_code] == [0, 0]
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("--config",), ("--nonsense",), ("--config", "x", "--account", "a", "surplus")],
)
def test_a_wrong_command_line_is_64(run, arguments):
    """EX_USAGE, with what is wrong."""
    done = run("accept", *arguments)
    assert done.exit_code == 64
    assert "Error" in done.output


def test_no_mail_at_all_is_65(accept):
    """EX_DATAERR."""
    done = accept(raw=b"")
    assert (done.exit_code, done.output) == (
        65,
        "mailrouting: there is no mail on standard input\n",
    )


def test_an_account_that_is_not_there_is_67(accept):
    """EX_NOUSER, with the accounts that are there."""
    done = accept(account="sales")
    assert done.exit_code == 67
    assert "support" in done.output


def test_a_wrong_configuration_is_78(accept, config):
    """EX_CONFIG, with what is wrong."""
    config.write_text("nonsense", "utf-8")
    done = accept()
    assert done.exit_code == 78
    assert "no TOML" in done.output


@pytest.mark.parametrize(("account", "text"), [("sales", None), ("support", "nonsense")])
def test_with_defer_both_are_75(accept, config, account, text):
    """With `--defer` the mail server keeps the mail until the configuration is mended."""
    if text:
        config.write_text(text, "utf-8")
    assert accept("--defer", account=account).exit_code == 75


def test_a_locked_state_is_75(accept, kept, config):
    """EX_TEMPFAIL after a while; nothing is kept, and later it is."""
    assert accept().exit_code == 0
    with closing(sqlite3.connect(config.parent / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = accept(raw=make_message(subject="second"))
        assert done.exit_code == 75
        assert "state.sqlite" in done.output
        other.execute("ROLLBACK")
    assert len(kept()) == 1
    assert accept(raw=make_message(subject="second")).exit_code == 0


@pytest.mark.parametrize("text", ["no database at all, but of some length", None])
def test_a_state_that_cannot_be_used_is_75(accept, config, text):
    """A state that is none, or a folder that is gone, is mended by a person: the mail waits."""
    if text:
        (config.parent / "state.sqlite").write_text(text)
    else:
        config.write_text(config.read_text().replace('"state.sqlite"', '"gone/state.sqlite"'))
    assert accept().exit_code == 75


def _accept_in_process(config, *before, **options):
    return subprocess.run(
        [*before, "accept", "--config", str(config), "--account", "support"],
        capture_output=True,
        check=False,
        timeout=60,
        **options,
    )


def test_a_full_disk_is_75(config, kept):
    """What does not fit is not kept, and nothing half is."""
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", sys.executable, "-m", "mailrouting"]
    done = _accept_in_process(config, *limited, input=make_message(text="x" * 200_000))
    assert done.returncode == 75, done.stderr
    assert kept() == []


def test_without_the_extra_it_is_75(config):
    """A half-made installation loses no mail."""
    done = _accept_in_process(config, sys.executable, "-c", WITHOUT_CLICK, input=RAW)
    assert done.returncode == 75
    assert b"needs click" in done.stderr


def test_an_unforeseen_error_is_75(accept, config):
    """Whatever is raised, the mail server has the mail still; no word of the mail is told."""
    (config.parent / "state.sqlite").mkdir()
    done = accept()
    assert done.exit_code == 75


def test_a_fetch_that_is_at_work_does_not_matter(accept, kept, config):
    """`accept` takes no lock of `fetch`'s: while one is at work mail is kept."""
    with (config.parent / "state.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert accept().exit_code == 0
    assert len(kept()) == 1


def test_a_named_account_without_mailbox_is_converted_too(accept, run, kept, config):
    """`fetch --account` does for it what `fetch` does."""
    text = config.read_text("utf-8")
    config.write_text(f'{text}\n[accounts.push]\naddress = "push@desk.example"\n', "utf-8")
    for account in ("push", "support"):
        assert accept(account=account).exit_code == 0
    done = run("fetch", "--config", config, "--account", "push")
    assert done.exit_code == 0
    assert "push: done, 0 stored, 1 created, 0 to try again, 0 acknowledged" in done.stdout
    assert [row.outcome is None for row, _ in kept()] == [False, True]
