"""Say at the end of a run how far each class of the storage kit came: what was tried, what not."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

import attrs

from mailrouting.testing._kit_levels import Level, obligations_of, previewed_until

__all__ = [
    "NOT_DECLARED",
    "PROPERTY",
    "KitRun",
    "PhaseReport",
    "kit_tests",
    "report_lines",
    "spans",
]

PROPERTY = "mailrouting storage kit"
"""The user property that each test of the kit leaves with pytest: a `KitRun` as text."""

NOT_DECLARED = "does not declare"


class PhaseReport(Protocol):
    """Be as much of pytest's report of a phase as is looked at."""

    @property
    def when(self) -> str | None:
        """setup, call or teardown."""
        ...

    @property
    def outcome(self) -> str:
        """passed, failed or skipped."""
        ...

    @property
    def longrepr(self) -> object:
        """Of a skip: file, line and reason."""
        ...

    @property
    def user_properties(self) -> list[tuple[str, object]]:
        """What the test left."""
        ...


@attrs.frozen(kw_only=True)
class KitRun:
    """Say which test of the kit ran for whom.

    Attributes:
        kit: The author's class.
        level: What the class declares.
        obligations: What the test holds the adapter to.
        until: The version that it binds from, when it does not yet.
        is_above: Whether it belongs to a higher level, and is not run.
    """

    kit: str
    level: int
    obligations: tuple[str, ...]
    until: str | None
    is_above: bool

    def as_text(self) -> str:
        """Write it for another process to read."""
        return json.dumps(attrs.asdict(self))


@attrs.define
class _Tally:
    """Count what became of one class's tests."""

    level: Level
    ends: Counter[str] = attrs.field(factory=Counter[str])
    tried: set[str] = attrs.field(factory=set[str])
    previews: list[str] = attrs.field(factory=list[str])


def kit_tests(kit: type) -> dict[str, object]:
    """Return the kit's tests by name."""
    return {name: getattr(kit, name) for name in dir(kit) if name.startswith("test_")}


def spans(numbers: Iterable[str]) -> str:
    """Write S1, S2, S3, S7 as "S1-S3, S7"."""
    found: list[list[int]] = []
    for number in sorted(int(number.removeprefix("S")) for number in numbers):
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(
        f"S{span[0]}-S{span[-1]}" if len(span) > 1 else f"S{span[0]}" for span in found
    )


def report_lines(reports: Iterable[PhaseReport], kit: type) -> Iterator[str]:
    """Write what became of each class, in the order in which they ran."""
    binding = [test for test in kit_tests(kit).values() if previewed_until(test) is None]
    every = {number for test in binding for number in obligations_of(test)}
    for name, tally in _tallies(reports).items():
        ends = tally.ends
        counts = ", ".join(
            f"{ends[what]} {what}"
            for what in ("passed", "failed", "known gaps", "not declared", "above it", "skipped")
            if ends[what] or what in ("passed", "failed")
        )
        yield f"{name}, level {tally.level} of {max(Level)} ({tally.level.meaning}): {counts}"
        yield f"  tried: {spans(tally.tried) or 'nothing'}"
        if untried := every - tally.tried:
            yield f"  not tried: {spans(untried)}"
        yield from tally.previews


def _tallies(reports: Iterable[PhaseReport]) -> dict[str, _Tally]:
    found: dict[str, _Tally] = {}
    for report in reports:
        run = _run_of(report)
        if run is None or (end := _end(report, run)) is None:
            continue
        tally = found.setdefault(run.kit, _Tally(Level(run.level)))
        if run.until is not None and end != "above it":
            would = {"passed": "passes", "known gaps": "would fail"}.get(end, end)
            tally.previews.append(
                f"  preview, binding from {run.until} on: {spans(run.obligations)} {would}"
            )
            continue
        tally.ends[end] += 1
        if end in ("passed", "failed", "known gaps"):
            tally.tried.update(run.obligations)
    return found


def _run_of(report: PhaseReport) -> KitRun | None:
    for name, text in report.user_properties:
        if name == PROPERTY:
            return KitRun(**json.loads(str(text)))
    return None


def _end(report: PhaseReport, run: KitRun) -> str | None:
    """Say how a test ended; None of a phase that says nothing of it."""
    if report.when != "call" and report.outcome == "passed":
        return None
    if report.outcome != "skipped":
        return report.outcome
    if hasattr(report, "wasxfail"):
        return "known gaps"
    if run.is_above:
        return "above it"
    return "not declared" if NOT_DECLARED in str(report.longrepr) else "skipped"
