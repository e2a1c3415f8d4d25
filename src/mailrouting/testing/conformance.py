"""Prove a storage adapter: what `mailrouting.storage` numbers is what these tests hold it to.

Needs the extra `testing` (pytest and Hypothesis). An adapter's whole suite is::

    from functools import partial
    from mailrouting.testing.conformance import StorageConformance

    class TestMyStorage(StorageConformance):
        def opener(self, fresh_dir):
            return partial(MyStorage, fresh_dir / "mail.db")

The hook returns a way to open the same data again, because the kit opens several handles, opens
again after closing, opens in other processes, and looks at what a killed one left. What the
adapter can do is read from its `capabilities`; tests of what it does not declare are skipped and
say so.
"""

import functools
from collections.abc import Callable
from typing import Any

try:
    import pytest

    from mailrouting.testing._kit import StorageKit
    from mailrouting.testing._kit_accounts import AccountStoreConformance
    from mailrouting.testing._kit_conclude import ConcludeObligations
    from mailrouting.testing._kit_intake import IntakeObligations
    from mailrouting.testing._kit_life import LifeObligations
    from mailrouting.testing._kit_mailboxes import MailboxObligations
except ModuleNotFoundError as _missing:
    if _missing.name not in ("pytest", "hypothesis"):
        raise
    raise ImportError(
        f"the kits need {_missing.name}, which is not installed. "
        "Install the extra `testing`: pip install 'mailrouting[testing]', or '.[testing]' in a clone."
    ) from _missing

__all__ = ["AccountStoreConformance", "StorageConformance"]


class StorageConformance(
    MailboxObligations, IntakeObligations, ConcludeObligations, LifeObligations
):
    """Be the base of a test class that proves one adapter.

    Override `opener`. With SHARED_TRANSACTION, and a `tx` that does not execute SQL, override
    `host_write` and `host_words` too. No test may be overridden.

    Attributes:
        known_gaps: Tests that the adapter does not pass yet, each with the reason; a test that
            passes in spite of it fails, until its entry goes.
        model_examples: How many runs to compare with the reference model.
    """

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        _refuse_overridden_tests(cls)
        if cls.opener is StorageKit.opener:
            raise TypeError(
                f"{cls.__name__} must say how its data is opened: write\n"
                "    def opener(self, fresh_dir):\n"
                f'        return partial({cls.__name__.removeprefix("Test")}, fresh_dir / "data")'
            )
        for name, reason in cls.known_gaps.items():
            setattr(cls, name, _expected_to_fail(cls, name, reason))


def _refuse_overridden_tests(cls: type[StorageConformance]) -> None:
    for name in vars(cls):
        if name.startswith("test_") and hasattr(StorageConformance, name):
            raise TypeError(
                f"{cls.__name__}.{name} overrides a test of the kit; write instead\n"
                f'    known_gaps = {{"{name}": "why, and until when"}}'
            )


def _expected_to_fail(cls: type[StorageConformance], name: str, reason: str) -> Callable[..., Any]:
    test = getattr(StorageConformance, name, None)
    if test is None:
        raise TypeError(f"{cls.__name__}.known_gaps names {name}, which is no test of the kit")

    @functools.wraps(test)
    def gap(*arguments: Any, **named: Any) -> Any:
        return test(*arguments, **named)

    # A list of its own: `wraps` shares the marks of the kit's test.
    gap.pytestmark = [*getattr(test, "pytestmark", ())]  # type: ignore[attr-defined]
    marked: Callable[..., Any] = pytest.mark.xfail(strict=True, reason=reason)(gap)
    return marked
