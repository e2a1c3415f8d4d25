"""Bring one claimed mail to its one outcome.

Slow first, then write: reading, look-ups, the host's descriptions, rules and `prepare` run with no
transaction; then the storage opens one, re-checks the claim and calls a single write hook.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import attrs

from mailrouting.directory import Directory
from mailrouting.errors import HookError, MailroutingError, TransactionMisuseError
from mailrouting.hooks import HelpDesk, Rule
from mailrouting.intake.abilities import finds_by_key, prepares, records_bounces
from mailrouting.intake.calling import calling, hook_error, storable
from mailrouting.intake.drafting import conclusion, draft_for, idempotency_key, overruled
from mailrouting.intake.explaining import explain
from mailrouting.reading import Helpers, Message, Reader, ReadingLimits, read
from mailrouting.records import (
    Action,
    Claim,
    Conclusion,
    Decision,
    EntryDraft,
    IntakeRow,
    Outcome,
    TicketDraft,
    TryLater,
    Verdict,
    Written,
)
from mailrouting.routing import Copies, RoutingPolicy
from mailrouting.storage import Storage

__all__ = ["Converter"]

Tx = TypeVar("Tx")

_MOST_COPIES = 50
_LONGEST_TICKET_ID = 255


@attrs.frozen(kw_only=True)
class Converter(Generic[Tx]):
    """Convert claimed mails.

    May be shared by threads when storage and desk may. Holds no state of its own.

    Attributes:
        storage: Where rows, threads and outcomes are.
        desk: The host's hooks.
        rules: The host's rules, in order.
        policy: The host's choices.
        reading: How far to look into a mail.
        helpers: What reading may use besides itself.
        reader: What reads a mail.
    """

    storage: Storage[Tx]
    desk: HelpDesk[Tx]
    rules: Sequence[Rule] = ()
    policy: RoutingPolicy = attrs.field(factory=RoutingPolicy)
    reading: ReadingLimits = attrs.field(factory=ReadingLimits)
    helpers: Helpers = attrs.field(factory=Helpers)
    reader: Reader = read

    def convert(self, claim: Claim, directory: Directory) -> Outcome | TryLater:
        """Bring one claimed mail to its outcome, or say that the host wants to try later.

        Raises:
            HookError: A hook or rule raised or returned what it may not; nothing was written.
            StaleWriteError: The claim is lost; nothing was written.
            StorageUnavailableError: Storage or host is busy or away; nothing was written.
        """
        row = claim.row
        copies = Copies(row=row, others=self._copies(claim))
        explained = explain(
            claim.raw,
            account=row.account_id,
            directory=directory,
            threads=self.storage,
            desk=self.desk,
            rules=self.rules,
            policy=self.policy,
            copies=copies,
            limits=self.reading,
            helpers=self.helpers,
            reader=self.reader,
        )
        key = idempotency_key(row.account_id, row.identity.fingerprint)
        message, decision = explained.message, explained.decision
        draft = draft_for(message, decision, directory, key, row=row)
        if draft is not None:
            prepared = self._prepare(draft)
            if isinstance(prepared, TryLater):
                return prepared
            if isinstance(prepared, Verdict):
                decision = overruled(decision, prepared, directory)
                draft = draft_for(message, decision, directory, key, row=row)
            else:
                draft = prepared
        return self._conclude(claim, message, decision, draft)

    def _copies(self, claim: Claim) -> tuple[IntakeRow, ...]:
        row = claim.row
        return self.storage.intake_rows(
            content=row.identity.content, other_than=row.id, limit=_MOST_COPIES
        )

    def _prepare(
        self, draft: TicketDraft | EntryDraft
    ) -> TicketDraft | EntryDraft | TryLater | Verdict:
        if not prepares(self.desk):
            return draft
        with calling("prepare"):
            prepared = self.desk.prepare(draft)
        changed_kind = not isinstance(prepared, type(draft) | TryLater | Verdict)
        if changed_kind or (
            isinstance(prepared, TicketDraft | EntryDraft)
            and prepared.idempotency_key != draft.idempotency_key
        ):
            raise HookError(
                f"prepare returned {type(prepared).__name__} for {type(draft).__name__}",
                hook="prepare",
                hint="Return the draft that came in, changed by attrs.evolve, without its key.",
            )
        if isinstance(prepared, TryLater) and not isinstance(
            cast("object", prepared.after_seconds), int | float
        ):
            raise HookError(
                f"prepare returned TryLater with after_seconds={prepared.after_seconds!r}",
                hook="prepare",
                hint="Say it as a number of seconds.",
            )
        if isinstance(prepared, Verdict):
            return attrs.evolve(prepared, reason=storable(prepared.reason))
        return prepared

    def _conclude(
        self,
        claim: Claim,
        message: Message,
        decision: Decision,
        draft: TicketDraft | EntryDraft | None,
    ) -> Outcome:
        hook = "open_ticket" if isinstance(draft, TicketDraft) else "add_entry"
        earlier = self._written_before(draft.idempotency_key) if draft else None

        def write(tx: Tx) -> Conclusion:
            nonlocal hook
            written = earlier
            if draft is not None and written is None:
                with calling(hook):
                    written = _checked(self._write(draft, decision, tx), hook)
            if decision.action is Action.BOUNCE and decision.ticket is not None:
                hook = "record_bounces"
                with calling(hook):
                    self._record_bounces(message, tx)
            return conclusion(message, decision, written)

        try:
            return self.storage.conclude(claim, write)
        except TransactionMisuseError as error:
            error.hook = hook  # the storage cannot know which one it called
            raise
        except MailroutingError:
            raise
        except Exception as error:
            raise hook_error(hook, error) from error

    def _write(self, draft: TicketDraft | EntryDraft, decision: Decision, tx: Tx) -> Written:
        if isinstance(draft, TicketDraft):
            return self.desk.open_ticket(draft, tx)
        assert decision.ticket is not None
        return self.desk.add_entry(decision.ticket, draft, tx)

    def _record_bounces(self, message: Message, tx: Tx) -> None:
        if records_bounces(self.desk):
            self.desk.record_bounces(message.bounces, tx)

    def _written_before(self, key: str) -> Written | None:
        # Always asked: an attempt that was given back is not counted, yet may have written.
        if not finds_by_key(self.desk):
            return None
        with calling("lookup"):
            earlier = self.desk.lookup(key)
        return None if earlier is None else _checked(earlier, "lookup")


def _checked(written: object, hook: str) -> Written:
    # The types say it, but whoever wrote the hook may not have checked them.
    ticket: object = written.ticket if isinstance(written, Written) else None
    if isinstance(written, Written) and isinstance(ticket, str):
        if 0 < len(ticket) <= _LONGEST_TICKET_ID:
            return written
        found = f"a ticket id of {len(ticket)} characters"
    elif isinstance(written, Written):
        found = f"a ticket id of type {type(ticket).__name__}"
    else:
        found = type(written).__name__
    raise HookError(
        f"{hook} returned {found}",
        hook=hook,
        hint=f"Return Written(ticket=...) with a text of 1 to {_LONGEST_TICKET_ID} characters.",
    )
