"""Name the addresses that a mail may leave from, in order (floor 4)."""

from collections.abc import Iterator

import attrs

from mailrouting.accounts import AliasUse, EmailAccount
from mailrouting.addresses import AddressRole, AddrSpec, NamedAddress
from mailrouting.directory import DepartmentStatus, Directory
from mailrouting.outbound.values import CandidateOrder, OutboundContext, OutboundPolicy, Purpose

__all__ = ["Candidate", "Identity", "candidates", "identify", "sending_addresses"]


@attrs.frozen
class Candidate:
    """Name an account or an address of ours, or say why there is none in this place."""

    step: str
    wanted: str | AddrSpec | None
    missing: str
    exact: bool = False


def candidates(
    directory: Directory, purpose: Purpose, context: OutboundContext, policy: OutboundPolicy
) -> Iterator[Candidate]:
    """Yield every place where an address may come from, in order, filled or not."""
    if purpose is Purpose.AUTORESPONSE:
        yield _autoresponse_candidate(directory, context.department)
    yield Candidate("agent's choice", context.agent_choice, "the agent chose none", exact=True)
    yield Candidate("ticket", context.answered_from, "the ticket has not answered yet")
    received = Candidate("received by", context.received_by, "it is not known who received it")
    if policy.order is CandidateOrder.RECEIVED_FIRST:
        yield received
    yield from _department_candidates(directory, context.department)
    if policy.order is CandidateOrder.DEPARTMENT_FIRST:
        yield received
    if purpose in {Purpose.ALERT, Purpose.SYSTEM}:
        yield Candidate("alert account", directory.alert_account, "none is configured")
    yield Candidate("default account", directory.default_account, "none is configured")
    yield Candidate("default MTA", directory.default_mta, "none is configured")


def _autoresponse_candidate(directory: Directory, department_id: str | None) -> Candidate:
    step = "automatic-response account"
    for department in directory.lineage(department_id):
        if department.status is DepartmentStatus.ACTIVE:
            missing = f"the department {department.id} names none"
            return Candidate(step, department.autoresponse, missing)
    return Candidate(step, None, "the ticket has no active department")


def _department_candidates(directory: Directory, department_id: str | None) -> Iterator[Candidate]:
    if department_id is None:
        yield Candidate("department", None, "the ticket has none")
    elif directory.find_department(department_id) is None:
        yield Candidate("department", None, f"there is no department {department_id}")
    for department in directory.lineage(department_id):
        step = f"department {department.id}"
        if department.status is DepartmentStatus.ACTIVE:
            yield Candidate(step, department.outgoing, "it names no outgoing account")
        else:
            yield Candidate(step, None, f"it is {department.status.value}")


@attrs.frozen
class Identity:
    """Hold an address of ours that mail may leave from, whose it is and why it was taken."""

    account: EmailAccount
    address: NamedAddress
    because: str


def identify(directory: Directory, candidate: Candidate) -> Identity | str:
    """Return what a candidate stands for, or why it cannot be used."""
    wanted = candidate.wanted
    if wanted is None:
        return candidate.missing
    account = directory.find_account(str(wanted))
    if account is not None:
        return _enabled(account, account.address, f"it is the account {account.id}")
    own = directory.address_book.find(wanted)
    if own is not None and own.role is AddressRole.SUBADDRESS:
        own = directory.address_book.find(own.addr)
    if own is None:
        what = "account" if isinstance(wanted, str) and "@" not in wanted else "address of ours"
        return f"there is no {what} {wanted}"
    account = directory.account(own.account_id)
    for address in sending_addresses(account):
        if address.addr.key == own.addr.key:
            return _enabled(account, address, f"{address.addr} is ours (account {account.id})")
    if candidate.exact:
        return f"nothing leaves from {wanted}: it is {own.role.value}"
    because = f"{wanted} is {own.role.value}: its account {account.id} answers"
    return _enabled(account, account.address, because)


def _enabled(account: EmailAccount, address: NamedAddress, because: str) -> Identity | str:
    if not account.enabled:
        return f"the account {account.id} is disabled"
    return Identity(account, address, because)


def sending_addresses(account: EmailAccount) -> Iterator[NamedAddress]:
    """Yield the addresses that an account always sends from: its own and its send-as aliases."""
    yield account.address
    for alias in account.aliases:
        if alias.use is AliasUse.SEND_AS:
            yield alias.address
