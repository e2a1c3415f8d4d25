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

_KIT = "mailrouting storage kit"

__all__ = ["mail_clock", "mail_desk", "mail_server", "mail_storage"]

# The whole package: what a kit asserts stands in private modules beside it.
pytest.register_assert_rewrite("mailrouting.testing")


class _KitReports:
    """Keep what the storage kit's tests came to, and say it at the end."""

    def __init__(self) -> None:
        self._reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a report of the kit's."""
        if any(name == _KIT for name, _ in report.user_properties):
            self._reports.append(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say of each class what was tried, and what was not."""
        if not self._reports:
            return
        from mailrouting.testing._kit_report import report_lines  # noqa: PLC0415 - see above
        from mailrouting.testing.conformance import StorageConformance  # noqa: PLC0415 - likewise

        terminalreporter.write_sep("=", _KIT)
        for line in report_lines(self._reports, StorageConformance):
            terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the storage kit."""
    config.pluginmanager.register(_KitReports(), "mailrouting-kit-reports")


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
