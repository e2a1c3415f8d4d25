"""Say what would become of a mail, and where an answer would leave from."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from mailrouting.accounts import InboundSettings
from mailrouting.addresses import AddrSpec
from mailrouting.cli.config import Config
from mailrouting.directory import Directory
from mailrouting.errors import ConfigurationError, OutboundUnresolvedError
from mailrouting.fetch import explain
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.outbound import OutboundContext, Purpose, Resolution, resolve
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["explain_mail", "explain_sender", "resolution_lines"]


def explain_mail(raw: bytes, *, config: Config, account_id: str | None) -> Iterator[str]:
    """Yield the steps of the decision about a mail.

    Raises:
        ConfigurationError: No account is named, and there is more than one.
        RecordNotFoundError: There is no account of that name.
    """
    directory = config.directory
    fetched = [
        account.id for account in directory.accounts if isinstance(account.inbound, InboundSettings)
    ]
    if account_id is None and len(fetched) != 1:
        raise ConfigurationError(
            f"found {len(fetched)} accounts with a mailbox: {', '.join(fetched)}",
            hint="Name one with --account.",
        )
    with tempfile.TemporaryDirectory() as empty:
        # Before the first fetch there is no state, and explaining makes none.
        state = config.state if config.state.exists() else Path(empty) / config.state.name
        with SqliteStorage(state) as storage:
            explained = explain(
                raw,
                account=account_id or fetched[0],
                directory=directory,
                threads=storage,
                desk=SqliteDesk(state),
            )
    decision = explained.decision
    for step in decision.trace:
        yield f"{step.step:20} {step.verdict:18} {step.because}"
    yield ""
    where = f" (ticket {decision.ticket})" if decision.ticket else ""
    yield f"decision: {decision.action.value}{where}, {decision.because}"


def explain_sender(
    directory: Directory,
    *,
    purpose: str,
    department: str | None = None,
    received_by: str | None = None,
    answered_from: str | None = None,
    choice: str | None = None,
    customer: str | None = None,
) -> Iterator[str]:
    """Yield which address a mail would leave from, and the steps that led there.

    Raises:
        OutboundUnresolvedError: None may.
        AddressError: `answered_from` is no address.
    """
    context = OutboundContext(
        department=department,
        received_by=received_by,
        answered_from=AddrSpec.parse(answered_from) if answered_from else None,
        agent_choice=choice,
        from_=(customer,) if customer else (),
        return_path=customer,
        notify=(customer,) if customer else (),
    )
    try:
        resolution = resolve(directory, purpose=Purpose(purpose), context=context)
    except OutboundUnresolvedError as error:
        yield from (f"  {step.step}: {step.because}" for step in error.tried)
        raise
    yield from resolution_lines(resolution)


def resolution_lines(resolution: Resolution) -> Iterator[str]:
    """Yield a resolution in lines."""
    yield f"From {resolution.from_}, account {resolution.account_id}"
    if resolution.sender is not None:
        yield f"Sender {resolution.sender}"
    yield f"reverse-path <{resolution.reverse_path or ''}>"
    yield f"through {', '.join(plan.account_id for plan in resolution.transports)}"
    for step in resolution.trace:
        yield f"  {step}"
