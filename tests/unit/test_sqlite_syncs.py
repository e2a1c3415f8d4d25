"""What SQLite and the spool wait for: seen from outside, in the system calls."""

import re
import shutil
import subprocess
import sys

import pytest

STRACE = shutil.which("strace")

COMMITS = """
import sys
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import _kit as kit

with SqliteStorage(sys.argv[1]) as storage:
    kit.put(storage, *range(30))
    claims = kit.claim(storage)
    for number in range(int(sys.argv[2])):
        storage.conclude(claims[number], lambda _, number=number: kit.conclusion(number))
"""
SPOOLED = """
import sys
from mailrouting.reading import identify
from mailrouting.records import IntakeMail
from mailrouting.stores.sqlite import SqliteStorage

raw = b"x" * 1_000_000
with SqliteStorage(sys.argv[1]) as storage:
    storage.intake_put([IntakeMail(account_id="a", raw=raw, identity=identify(raw))], lease=None)
"""


@pytest.fixture
def synced(tmp_path):
    """Return a function that runs a script and returns the names of the files that were synced."""
    if STRACE is None:
        pytest.skip("strace is not installed: make servers")

    def synced(script, *arguments):
        path, told = tmp_path / "mail.db", tmp_path / "strace"
        for old in tmp_path.glob("mail.db*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        done = subprocess.run(
            [STRACE, "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", told,
             sys.executable, "-c", script, path, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )  # fmt: skip
        if done.returncode and "ptrace" in done.stderr:
            pytest.skip(f"strace may not look here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        calls = re.findall(r"f(?:data)?sync\(\d+<([^>]*)>\) += 0", told.read_text("utf-8"))
        return [name.rpartition("/")[2] for name in calls if str(tmp_path) in name]

    return synced


def test_every_commit_waits_for_the_disk(synced):
    """One more conclude is one more sync of the write-ahead log, no fewer and no more."""
    few, many = (synced(COMMITS, number).count("mail.db-wal") for number in ("5", "25"))
    assert many - few == 20


def test_a_spool_file_is_on_the_disk_before_its_row(synced):
    """File, then folder, then the row that names it."""
    names = synced(SPOOLED)
    part = next(place for place, name in enumerate(names) if name.endswith(".part"))
    assert names[part : part + 3] == [names[part], "mail.db.spool", "mail.db-wal"]
