"""Say what an account wants done on its server with mail of an outcome."""

from mailrouting.accounts import AcknowledgeWhen, AfterAction, AfterFetch, InboundSettings
from mailrouting.records import OutcomeKind

__all__ = ["after_outcome", "keeps_all"]


def after_outcome(inbound: InboundSettings, outcome: OutcomeKind | None) -> AfterFetch:
    """Return what is done; where being stored is enough, the outcome does not matter."""
    if inbound.acknowledge_when is AcknowledgeWhen.STORED:
        return inbound.processed
    match outcome:
        case OutcomeKind.FILTERED:
            return inbound.filtered
        case OutcomeKind.QUARANTINED | OutcomeKind.OVERSIZED:
            return inbound.quarantined
        case _:
            return inbound.processed


def keeps_all(inbound: InboundSettings) -> bool:
    """Tell whether no outcome changes anything on the server."""
    choices = (inbound.processed, inbound.filtered, inbound.quarantined)
    return all(after.action is AfterAction.KEEP for after in choices)
