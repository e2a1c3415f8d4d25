"""Prove an adapter: what `mailrouting.storage` and `mailrouting.session` number is tested here.

Needs the extra `testing` (pytest and Hypothesis). A storage adapter's whole suite is::

    from functools import partial
    from mailrouting.testing.conformance import StorageConformance

    class TestMyStorage(StorageConformance):
        def opener(self, fresh_dir):
            return partial(MyStorage, fresh_dir / "mail.db")

The hook returns a way to open the same data again, because the kit opens several handles, opens
again after closing, opens in other processes, and looks at what a killed one left. What the
adapter can do is read from its `capabilities`; tests of what it does not declare are skipped and
say so.

An adapter that is being written says how far it is, and is held to that much::

    class TestMyStorage(StorageConformance):
        level = Level.ONE_WORKER

At the end of a run a line for each class says what was tried and what was not.

A mail session's suite has one hook as well: an empty mailbox, and another client's hands on it::

    from mailrouting.testing.conformance import SessionConformance

    class TestMySession(SessionConformance):
        def mailbox(self, fresh_dir):
            return MyMailbox(fresh_dir)         # a MailboxHands

"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

try:
    import pytest

    from mailrouting.testing._kit import StorageKit
    from mailrouting.testing._kit_accounts import AccountObligations
    from mailrouting.testing._kit_again import AgainObligations
    from mailrouting.testing._kit_conclude import ConcludeObligations
    from mailrouting.testing._kit_giving import GivingObligations
    from mailrouting.testing._kit_intake import IntakeObligations
    from mailrouting.testing._kit_levels import Level
    from mailrouting.testing._kit_life import LifeObligations
    from mailrouting.testing._kit_mailboxes import MailboxObligations
    from mailrouting.testing._kit_races import RaceObligations
    from mailrouting.testing._kit_upkeep import UpkeepObligations
    from mailrouting.testing._session_changing import ChangingObligations
    from mailrouting.testing._session_kit import (
        CutsConnections,
        FlagsMail,
        MailboxHands,
        MailOnServer,
        RecordsCommands,
        RenumbersMail,
        SessionKit,
    )
    from mailrouting.testing._session_looking import LookingObligations
except ModuleNotFoundError as _missing:
    if _missing.name not in ("pytest", "hypothesis"):
        raise
    raise ImportError(
        f"the kits need {_missing.name}, which is not installed. "
        "Install the extra `testing`: pip install 'mailrouting[testing]', or '.[testing]' in a clone."
    ) from _missing

__all__ = [
    "AccountStoreConformance",
    "CutsConnections",
    "FlagsMail",
    "Level",
    "MailOnServer",
    "MailboxHands",
    "RecordsCommands",
    "RenumbersMail",
    "SessionConformance",
    "StorageConformance",
]


class StorageConformance(
    MailboxObligations,
    IntakeObligations,
    ConcludeObligations,
    AgainObligations,
    GivingObligations,
    UpkeepObligations,
    RaceObligations,
    LifeObligations,
):
    """Be the base of a test class that proves one adapter.

    Override `opener`. With SHARED_TRANSACTION, and a `tx` that does not execute SQL, override
    `host_write` and `host_words` too. No test may be overridden.

    Attributes:
        level: How much of it is there: tests of a higher `Level` are not run, and said to be not
            tried. What the service runs on is whole, as it is when nothing is said.
        known_gaps: Tests that the adapter does not pass yet, each with the reason; a test that
            passes in spite of it fails, until its entry goes.
        model_examples: How many runs to compare with the reference model.
    """

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if cls.level not in [*Level]:
            raise TypeError(
                f"{cls.__name__}.level is {cls.level!r}, expected one of "
                + ", ".join(f"Level.{level.name} ({level})" for level in Level)
            )
        _refuse_overridden_tests(cls, StorageConformance)
        if cls.opener is StorageKit.opener:
            raise _no_opener(cls)
        _expect_known_gaps(cls, StorageConformance, cls.known_gaps)


class AccountStoreConformance(AccountObligations):
    """Be the base of a test class that proves one account store.

    Override `opener`. No test may be overridden.

    Attributes:
        known_gaps: Tests that the store does not pass yet, each with the reason; a test that
            passes in spite of it fails, until its entry goes.
    """

    known_gaps: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        _refuse_overridden_tests(cls, AccountStoreConformance)
        if cls.opener is AccountObligations.opener:
            raise _no_opener(cls)
        _expect_known_gaps(cls, AccountStoreConformance, cls.known_gaps)


class SessionConformance(LookingObligations, ChangingObligations):
    """Be the base of a test class that proves one mail session.

    Override `mailbox`. What the session can do is read from its `features`, what the server's
    other hands can do from the protocols that they have. No test may be overridden.

    Attributes:
        known_gaps: Tests that the session does not pass yet, each with the reason; a test that
            passes in spite of it fails, until its entry goes.
    """

    known_gaps: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        _refuse_overridden_tests(cls, SessionConformance)
        if cls.mailbox is SessionKit.mailbox:
            raise TypeError(
                f"{cls.__name__} must say where its mail is: write\n"
                "    def mailbox(self, fresh_dir):\n"
                "        return MyMailbox(fresh_dir)  # a MailboxHands"
            )
        _expect_known_gaps(cls, SessionConformance, cls.known_gaps)


def _no_opener(cls: type) -> TypeError:
    return TypeError(
        f"{cls.__name__} must say how its data is opened: write\n"
        "    def opener(self, fresh_dir):\n"
        f'        return partial({cls.__name__.removeprefix("Test")}, fresh_dir / "data")'
    )


def _refuse_overridden_tests(cls: type, kit: type) -> None:
    for name in vars(cls):
        if name.startswith("test_") and hasattr(kit, name):
            raise TypeError(
                f"{cls.__name__}.{name} overrides a test of the kit; write instead\n"
                f'    known_gaps = {{"{name}": "why, and until when"}}'
            )


def _expect_known_gaps(cls: type, kit: type, gaps: dict[str, str]) -> None:
    for name, reason in gaps.items():
        test = getattr(kit, name, None)
        if test is None:
            raise TypeError(f"{cls.__name__}.known_gaps names {name}, which is no test of the kit")
        setattr(cls, name, _expected_to_fail(test, reason))


def _expected_to_fail(test: Callable[..., Any], reason: str) -> Callable[..., Any]:
    @functools.wraps(test)
    def gap(*arguments: Any, **named: Any) -> Any:
        return test(*arguments, **named)

    # A list of its own: `wraps` shares the marks of the kit's test.
    gap.pytestmark = [*getattr(test, "pytestmark", ())]  # type: ignore[attr-defined]
    marked: Callable[..., Any] = pytest.mark.xfail(strict=True, reason=reason)(gap)
    return marked
