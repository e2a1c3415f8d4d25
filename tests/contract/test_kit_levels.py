"""The storage kit's levels and previews: what an adapter is held to, and what the last lines say."""

import re
from pathlib import Path

import pytest

import beginning_store
import mailrouting
from beginning_store import BeginningStorage
from mailrouting.fetch import Fetcher
from mailrouting.storage import Storage
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import FakeClock, FakeMailServer, RecordingDesk, make_message
from mailrouting.testing._kit_levels import level_of, obligations_of, previewed_until
from mailrouting.testing._kit_report import kit_tests, spans
from mailrouting.testing.conformance import Level, StorageConformance

TESTS = kit_tests(StorageConformance)
BEGUN = f"""
import sys
sys.path.insert(0, {str(Path(beginning_store.__file__).parent)!r})
from beginning_store import BeginningStorage
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing.conformance import Level, StorageConformance

class TestBegun(StorageConformance):
    level = Level.{{level}}
    known_gaps = {{gaps}}

    def opener(self, fresh_dir):
        self.committed = []
        return {{adapter}}

    def host_write(self, tx, word):
        tx.on_commit(lambda: self.committed.append(word))

    def host_words(self, tx):
        return self.committed

class AsksForAThousand(MemoryStorage):
    def positions(self, mailbox, generation, uids):
        return super().positions(mailbox, generation, uids[:1000])
"""


def numbers(line):
    """Return the obligations of a line: "S1-S3, S7"."""
    found = set()
    for first, last in re.findall(r"S(\d+)(?:-S(\d+))?", line):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_an_adapter_that_is_begun_passes_the_first_level(run_kit):
    """What is above the level is skipped with its reason, and the last lines name it."""
    told = run_kit(BEGUN.format(level="ONE_WORKER", gaps={}, adapter="BeginningStorage"), "-rs")
    assert re.search(r"TestBegun, level 1 of 3 \(one worker .*\): \d+ passed, 0 failed, ", told), (
        told
    )
    assert "of level 3 (servers number mail anew, operators look back and forget)" in told
    tried = numbers(re.search(r"  tried: (.*)", told)[1])
    untried = numbers(re.search(r"  not tried: (.*)", told)[1])
    assert tried & untried == set()
    binding = [test for test in TESTS.values() if previewed_until(test) is None]
    every = {number for test in binding for number in obligations_of(test)}
    assert {f"S{number}" for number in tried | untried} == every
    assert {1, 7, 10} <= tried
    assert {22, 23, 29} <= untried


def test_it_does_not_pass_the_whole(run_kit):
    """Without a level all is asked for."""
    told = run_kit(BEGUN.format(level="WHOLE", gaps={}, adapter="BeginningStorage"))
    assert re.search(r"TestBegun, level 3 of 3 .*: \d+ passed, [1-9]\d* failed, ", told), told


def test_the_first_level_is_enough_for_one_worker():
    """With it mail becomes a ticket once, and the next poll of the same mail does nothing."""
    clock, server, desk = FakeClock(), FakeMailServer(), RecordingDesk()
    server.add_mailbox("help@desk.example")
    server.deliver(make_message(), to="help@desk.example")
    account = mailrouting.EmailAccount.from_url(
        "imaps://help%40desk.example@imap.desk.example",
        id="help",
        address="help@desk.example",
        first_run=mailrouting.FirstRun.all(),
    )
    fetcher = Fetcher(
        accounts=mailrouting.Directory(accounts=(account,)),
        storage=BeginningStorage(clock=clock),
        desk=desk,
        open_session=server.open_session,
        clock=clock,
    )
    for stored in (1, 0):
        report = fetcher.run("help")
        assert (report.error, report.stored) == (None, stored)
    assert len(desk.tickets) == 1


def test_a_preview_fails_nobody(run_kit):
    """A test of an obligation to come is reported, and the run is as good as without it."""
    told = run_kit(
        BEGUN.format(level="WHOLE", gaps={}, adapter="AsksForAThousand"), "-k", "any_number_of_ids"
    )
    assert "1 xfailed" in told
    assert "S32 would fail" in told
    assert "TestBegun, level 3 of 3" in told
    assert "failed," not in told.splitlines()[-1]


def test_a_preview_that_passes_says_so(run_kit):
    """Whoever is ready already sees it."""
    told = run_kit(
        BEGUN.format(level="WHOLE", gaps={}, adapter="MemoryStorage"), "-k", "any_number_of_ids"
    )
    assert "S32 passes" in told


def test_gaps_and_what_is_not_declared_are_counted(run_kit):
    """Neither is hidden among what passed."""
    gaps = {"test_outcome_counts": "issue 12"}
    told = run_kit(
        BEGUN.format(level="WHOLE", gaps=gaps, adapter="BeginningStorage"),
        *("-k", "test_outcome_counts or test_everything_survives or test_close_twice"),
    )
    counts = "1 passed, 0 failed, 1 known gaps, 1 not declared"
    assert re.search(rf"TestBegun, level 3 of 3 .*: {counts}\n  tried: S14, S27\n", told), told


def test_a_run_without_the_kit_says_nothing_of_it(run_kit):
    """Those who only use the fixtures are told nothing."""
    assert "storage kit" not in run_kit("def test_it(): pass")


@pytest.mark.parametrize("level", [0, 4, "1"])
def test_a_level_that_there_is_not_is_refused(level):
    """The error names those that there are."""
    members = {"opener": lambda self, folder: MemoryStorage, "level": level}
    with pytest.raises(TypeError, match=r"Level\.ONE_WORKER \(1\), .*Level\.WHOLE \(3\)"):
        type("TestMine", (StorageConformance,), members)


@pytest.mark.parametrize("name", TESTS)
def test_every_test_says_what_it_is_about(name):
    """Each quotes an obligation and is on a level, so that the report leaves none out."""
    assert obligations_of(TESTS[name])
    assert level_of(TESTS[name]) in Level


def test_every_obligation_is_on_a_level():
    """What the protocol numbers is tested, or previewed."""
    promised = set(re.findall(r"^ +(S\d+)\. ", Storage.__doc__, re.MULTILINE))
    assert {number for test in TESTS.values() for number in obligations_of(test)} == promised


def test_no_preview_outlives_its_version():
    """A preview binds from the version that it names on: then its mark must go."""
    now = tuple(int(part) for part in mailrouting.__version__.split(".")[:2])
    for name, test in TESTS.items():
        until = previewed_until(test)
        if until is not None:
            assert tuple(int(part) for part in until.split(".")) > now, name


def test_numbers_are_written_as_spans():
    """Neighbours are joined, in the order of numbers."""
    assert spans({"S10", "S2", "S1", "S3", "S12"}) == "S1-S3, S10, S12"
