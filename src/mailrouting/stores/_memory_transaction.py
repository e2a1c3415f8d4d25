"""Let a host in memory commit or undo with the outcome (floor 6)."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["MemoryTransaction", "transaction"]


class MemoryTransaction:
    """Let a host in memory take part: what it changes commits with the outcome, or is undone.

    Callbacks must not raise. Nothing else can be done with it, so it needs no guard.
    """

    def __init__(
        self, commits: list[Callable[[], object]], undoes: list[Callable[[], object]]
    ) -> None:
        self._commits = commits
        self._undoes = undoes

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call this when the write succeeded, just before the outcome is seen. In order."""
        self._commits.append(callback)

    def on_rollback(self, callback: Callable[[], object]) -> None:
        """Call this when the write failed, to undo what was done. Last first."""
        self._undoes.append(callback)


@contextmanager
def transaction() -> Generator[MemoryTransaction]:
    """Return the span of one write."""
    commits: list[Callable[[], object]] = []
    undoes: list[Callable[[], object]] = []
    try:
        yield MemoryTransaction(commits, undoes)
        for callback in commits:
            callback()
    except BaseException:
        for callback in reversed(undoes):
            callback()
        raise
