"""Offer mailrouting's fakes as pytest fixtures.

Loaded by pytest through its `pytest11` entry point, so it stands outside of the package and imports
nothing of it before a fixture is asked for: a plugin that imports its package at start hides it from
coverage.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mailrouting.stores.memory import MemoryStorage
    from mailrouting.testing import FakeClock, FakeMailServer, RecordingDesk

__all__ = ["mail_clock", "mail_desk", "mail_server", "mail_storage"]

# The whole package: what a kit asserts stands in private modules beside it.
pytest.register_assert_rewrite("mailrouting.testing")


@pytest.fixture
def mail_server() -> "FakeMailServer":
    """Return a fake mail server without mailboxes."""
    from mailrouting.testing import FakeMailServer  # noqa: PLC0415 - see the module's docstring

    return FakeMailServer()


@pytest.fixture
def mail_clock() -> "FakeClock":
    """Return a clock that stands still until it is told to move."""
    from mailrouting.testing import FakeClock  # noqa: PLC0415 - likewise

    return FakeClock()


@pytest.fixture
def mail_desk() -> "RecordingDesk":
    """Return a help desk that records."""
    from mailrouting.testing import RecordingDesk  # noqa: PLC0415 - likewise

    return RecordingDesk()


@pytest.fixture
def mail_storage(mail_clock: "FakeClock") -> "Iterator[MemoryStorage]":
    """Return a storage in memory that reads `mail_clock`; closed at the end."""
    from mailrouting.stores.memory import MemoryStorage  # noqa: PLC0415 - likewise

    with MemoryStorage(clock=mail_clock) as storage:
        yield storage
