"""Say what would become of a mail, and where an answer would leave from."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from mailrouting.addresses import AddrSpec
from mailrouting.cli.config import Config
from mailrouting.cli.state import naming_state
from mailrouting.directory import Directory
from mailrouting.errors import AddressError, ConfigurationError, OutboundUnresolvedError
from mailrouting.fetch import explain
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.outbound import OutboundContext, Purpose, Resolution, resolve
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["explain_mail", "explain_sender", "resolution_lines"]


def explain_mail(raw: bytes, *, config: Config, account_id: str | None) -> Iterator[str]:
    """Yield the steps of the decision about a mail.

    Raises:
        ConfigurationError: No account is named, and there is more than one; there is none of that
            name; the state is no state.
        StorageUnavailableError: The state is busy or away.
    """
    if account_id is not None:
        config.require_account(account_id, named="--account")
    directory = config.directory
    fetched = [account.id for account in directory.fetched_accounts()]
    if account_id is None and len(fetched) != 1:
        raise ConfigurationError(
            f"found {len(fetched)} accounts with a mailbox: {', '.join(fetched)}",
            hint="Name one with --account.",
        )
    with tempfile.TemporaryDirectory() as empty:
        # Before the first fetch there is no state, and explaining makes none.
        state = config.state if config.state.exists() else Path(empty) / config.state.name
        with naming_state(state), SqliteStorage(state) as storage:
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
        ConfigurationError: An option names what does not exist, or is no address.
    """
    _refuse_unknown_department(directory, department)
    _refuse_unknown_sender(directory, "--received-by", received_by)
    _refuse_unknown_sender(directory, "--choice", choice)
    _address("--to", customer)
    context = OutboundContext(
        department=department,
        received_by=received_by,
        answered_from=_address("--answered-from", answered_from),
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


def _refuse_unknown_department(directory: Directory, department: str | None) -> None:
    if department is None or directory.find_department(department) is not None:
        return
    names = ", ".join(one.id for one in directory.departments)
    raise ConfigurationError(
        f"--department: there is no department {department!r}",
        hint=f"Name one of: {names}." if names else "The file has none: leave the option out.",
    )


def _refuse_unknown_sender(directory: Directory, option: str, sender: str | None) -> None:
    if sender is None or directory.find_account(sender) or directory.address_book.find(sender):
        return
    raise ConfigurationError(
        f"{option}: there is no account or address of ours {sender!r}",
        hint=f"Name one of: {', '.join(one.id for one in directory.accounts)}; or an address.",
    )


def _address(option: str, text: str | None) -> AddrSpec | None:
    if text is None:
        return None
    try:
        return AddrSpec.parse(text)
    except AddressError as error:
        raise ConfigurationError(f"{option}: {error}", hint=error.hint) from error


def resolution_lines(resolution: Resolution) -> Iterator[str]:
    """Yield a resolution in lines."""
    yield f"From {resolution.from_}, account {resolution.account_id}"
    if resolution.sender is not None:
        yield f"Sender {resolution.sender}"
    yield f"reverse-path <{resolution.reverse_path or ''}>"
    yield f"through {', '.join(plan.account_id for plan in resolution.transports)}"
    for step in resolution.trace:
        yield f"  {step}"
