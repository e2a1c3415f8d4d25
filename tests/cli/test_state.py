"""The state file: private, alone, and what is wrong with it has a name."""

import fcntl
import json
import os
import sqlite3
import stat
from contextlib import closing

import pytest

ENV = {"SUPPORT_PASSWORD": "x"}


def _set_state(config, value):
    text = config.read_text("utf-8")
    config.write_text(text.replace('"state.sqlite"', json.dumps(str(value))), "utf-8")


def _names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    ("state", "because"),
    [
        ("none/state.sqlite", "No such file or directory"),
        ("desk.toml/state.sqlite", "Not a directory"),
        (".", "no plain file"),
        ("/dev/null", "no plain file"),
        ("/proc/state.sqlite", ""),
        ("nul\0", "null"),
        ("text.txt", "is no SQLite file"),
    ],
)
def test_a_state_that_cannot_be_used_is_refused(run, config, state, because):
    """File and key are named in one line, the status is 2, and nothing is left behind."""
    (config.parent / "text.txt").write_text("this is text and no database", "utf-8")
    _set_state(config, state)
    result = run("fetch", "--config", str(config), env=ENV)
    assert result.exit_code == 2, result.output
    assert f"mailrouting: {config}: state: " in result.stderr
    assert because in result.stderr
    assert _names(config.parent) == ["desk.toml", "text.txt"]


def test_a_damaged_state_is_named(run, config):
    """What SQLite says of a file that only looks like a database comes with its name."""
    state = config.parent / "state.sqlite"
    state.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    for command in ("fetch", "explain"):
        arguments = ["-"] if command == "explain" else []
        result = run(command, "--config", str(config), *arguments, env=ENV, input=b"a: b\n\nc\n")
        assert result.exit_code == 2, result.output
        assert str(state) in result.stderr


def test_a_missing_ca_file_is_refused(run, config):
    """File and key are named, and no state is made."""
    config.write_text(f'ca_file = "none.pem"\n{config.read_text("utf-8")}', "utf-8")
    result = run("fetch", "--config", str(config), env=ENV)
    assert result.exit_code == 2
    assert f"{config}: ca_file: " in result.stderr
    assert "none.pem" in result.stderr
    assert _names(config.parent) == ["desk.toml"]


def test_the_state_is_private(run, config):
    """Raw mail is readable by its owner alone, whatever the umask says; so is SQLite's log."""
    before = os.umask(0)
    try:
        run("fetch", "--config", str(config), env=ENV)
        state = config.parent / "state.sqlite"
        with closing(sqlite3.connect(state)) as connection:
            connection.execute("create table other (x)")
            connection.commit()
            modes = {
                entry.name: stat.S_IMODE(entry.stat().st_mode)
                for entry in config.parent.iterdir()
                if entry != config
            }
    finally:
        os.umask(before)
    assert {"state.sqlite", "state.sqlite.lock", "state.sqlite-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_second_fetch_leaves_the_work_to_the_first(run, config):
    """It says so, skips every account, and ends with status 0: that is no failure."""
    with (config.parent / "state.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run("fetch", "--json", "--config", str(config), env=ENV)
        assert result.exit_code == 0
        assert "another fetch is at work on" in result.stderr
        assert str(config.parent / "state.sqlite") in result.stderr
        row = json.loads(result.stdout)
        assert (row["account"], row["status"], row["because"]) == (
            "support",
            "skipped",
            "another fetch is at work",
        )
        told = run("fetch", "--config", str(config), env=ENV)
        assert told.stdout == "support: skipped, another fetch is at work\n"
        assert not (config.parent / "state.sqlite").exists()
    assert run("fetch", "--config", str(config), env=ENV).exit_code == 1


def test_due_tries_what_has_waited_long_enough(run, config):
    """After a failure --due leaves the account alone; without it the account is tried at once."""
    first = run("fetch", "--due", "--json", "--config", str(config), env=ENV)
    assert (first.exit_code, json.loads(first.stdout)["status"]) == (1, "failed")
    due = run("fetch", "--due", "--json", "--config", str(config), env=ENV)
    assert (due.exit_code, due.stdout, due.stderr) == (0, "", "")
    again = run("fetch", "--json", "--config", str(config), env=ENV)
    assert json.loads(again.stdout)["status"] == "failed"


def test_due_and_account_exclude_each_other(run, config):
    """Both at once are a wrong command line."""
    result = run("fetch", "--due", "--account", "support", "--config", str(config))
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/below"])
def test_demo_says_where_it_cannot_keep_anything(run, tmp_path, place):
    """A place that is no folder or cannot be written is named with its option; status 2."""
    (tmp_path / "file").write_text("", "utf-8")
    result = run("demo", "--keep", str(tmp_path / place))
    assert result.exit_code == 2, result.output
    assert "mailrouting: --keep: " in result.stderr
    assert place in result.stderr
