"""Mail that kills, hangs or exhausts who reads it: it is set aside, and the rest flows (F46)."""

from pathlib import Path

import pytest

from mailrouting.fetch import FetchLimits
from mailrouting.isolation import Isolation
from mailrouting.records import OutcomeKind
from mailrouting.testing import make_message

READERS = str(Path(__file__).parent.parent / "planted")
POISON = {
    "raise": "HookError",
    "recurse": "RecursionError",
    "loop": "TimeoutError",
    "allocate": "MemoryError",
    "segfault": "ChildProcessError",
}


@pytest.fixture
def reader():
    """Return a reader in a child that does what a subject says."""
    with Isolation(
        reader="planted_readers:obedient",
        helpers=None,
        search_path=[READERS],
        deadline_seconds=2,
        memory_bytes=512 << 20,
    ) as isolation:
        yield isolation


def test_poison_is_quarantined_and_the_rest_flows(world, reader):
    """Each poison mail ends in quarantine with its step and error, each other mail in a ticket."""
    address = world.add("help")
    for number, what in enumerate(POISON):
        world.server.deliver(make_message(subject=what, to=address), to=address)
        world.server.deliver(make_message(subject=f"mail {number}", to=address), to=address)
    for _ in range(3):
        world.run(reader=reader, limits=FetchLimits(max_attempts=2))
        world.clock.advance(seconds=86_400)
    assert sorted(world.desk.subjects) == [f"mail {number}" for number in range(len(POISON))]
    rows = world.storage.intake_rows()
    told = {
        row.failure.error_type: row.outcome.kind
        for row in rows
        if row.failure is not None and row.failure.step == "read"
    }
    assert told == dict.fromkeys(POISON.values(), OutcomeKind.QUARANTINED)
    assert all(row.outcome is not None for row in rows)
