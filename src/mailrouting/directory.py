"""Hold one snapshot of all that is configured, and say what is wrong with it (floor 2a).

A `Directory` is immutable: one poll, one decision, one reply works with one snapshot. Nothing here
opens a connection; whether a server takes the login is for the probe to find out.
"""

import collections
import enum
import functools
from collections.abc import Iterator, Mapping
from typing import TypeVar

import attrs

from mailrouting.accounts import ArrivesIn, EmailAccount, Problem, Severity
from mailrouting.accounts.checks import error, own_problems, warning
from mailrouting.accounts.claims import Claims, book_of
from mailrouting.accounts.plain import read_document, write_document
from mailrouting.addresses import AddressBook, AddrSpec
from mailrouting.errors import RecordNotFoundError

__all__ = [
    "Department",
    "DepartmentStatus",
    "Directory",
    "Problem",
    "Severity",
    "directory_from_dict",
    "directory_to_dict",
]

_Found = TypeVar("_Found")


class DepartmentStatus(enum.Enum):
    """Say whether a department takes part."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """Its tickets stay; nothing leaves from its addresses."""
    ARCHIVED = "archived"
    """Kept for the record only."""


@attrs.frozen(kw_only=True)
class Department:
    """Hold from where a department's mail leaves.

    Attributes:
        id: The host's name for it.
        name: What people call it.
        outgoing: The account that replies leave from, or None for the parent's or the default.
        autoresponse: The account that automatic responses leave from, or None for `outgoing`.
        parent: The department above it, or None.
        status: Whether it takes part.
        private: Whether its name is kept from requesters.
    """

    id: str
    name: str
    outgoing: str | None = None
    autoresponse: str | None = None
    parent: str | None = None
    status: DepartmentStatus = DepartmentStatus.ACTIVE
    private: bool = False


@attrs.frozen(kw_only=True)
class Directory:
    """Hold all that is configured, as one immutable snapshot.

    Attributes:
        accounts: The addresses of the help desk.
        departments: From where their mail leaves; empty when the host keeps none here.
        default_account: The account that answers when nothing says otherwise.
        alert_account: The account that alerts and system notices leave from.
        default_mta: The account whose outbound server sends for accounts without one.
        admin_address: Who is told when something fails; never one of ours.
        agent_addresses: Addresses of agents that are not to become an account's by mistake.
        fetching: Whether mailboxes are polled at all.
        sending: Whether the outbox is emptied at all; decisions are made all the same.
    """

    accounts: tuple[EmailAccount, ...] = ()
    departments: tuple[Department, ...] = ()
    default_account: str | None = None
    alert_account: str | None = None
    default_mta: str | None = None
    admin_address: AddrSpec | None = None
    agent_addresses: tuple[AddrSpec, ...] = ()
    fetching: bool = True
    sending: bool = True

    def directory(self) -> "Directory":
        """Return itself: a snapshot is the simplest `mailrouting.storage.Accounts`."""
        return self

    def account(self, account_id: str) -> EmailAccount:
        """Return the account with this id.

        Raises:
            RecordNotFoundError: There is none.
        """
        return _found(self.find_account(account_id), "account", account_id)

    def find_account(self, account_id: str | None) -> EmailAccount | None:
        """Return the account with this id, or None; the first one when ids are not unique."""
        return self._accounts.get(account_id)

    def fetched_accounts(self) -> tuple[EmailAccount, ...]:
        """Return the accounts that have a mailbox of their own, in order, disabled ones too."""
        return tuple(account for account in self.accounts if account.mailbox is not None)

    def department(self, department_id: str) -> Department:
        """Return the department with this id.

        Raises:
            RecordNotFoundError: There is none.
        """
        return _found(self.find_department(department_id), "department", department_id)

    def find_department(self, department_id: str | None) -> Department | None:
        """Return the department with this id, or None; the first one when ids are not unique."""
        return self._departments.get(department_id)

    def lineage(self, department_id: str | None) -> Iterator[Department]:
        """Yield a department, its parent, and so on; each once, so a cycle ends."""
        seen: set[str] = set()
        department = self.find_department(department_id)
        while department is not None and department.id not in seen:
            seen.add(department.id)
            yield department
            department = self.find_department(department.parent)

    @functools.cached_property
    def address_book(self) -> AddressBook:
        """Our addresses; those of a disabled account stay ours, or its mail would loop."""
        people = (*self.agent_addresses, *filter(None, [self.admin_address]))
        return book_of(self.accounts, people)

    @functools.cached_property
    def _accounts(self) -> dict[str | None, EmailAccount]:
        return {account.id: account for account in reversed(self.accounts)}

    @functools.cached_property
    def _claims(self) -> Claims:
        return Claims.of(self.accounts, agents=self.agent_addresses, admin=self.admin_address)

    @functools.cached_property
    def _departments(self) -> dict[str | None, Department]:
        return {department.id: department for department in reversed(self.departments)}

    def problems(self, account: EmailAccount) -> tuple[Problem, ...]:
        """Return all that is wrong with an account among the others, all at once.

        The account may be new, a changed one (it stands for the one with its id), or one of these.

        >>> from mailrouting.addresses import NamedAddress
        >>> alone = EmailAccount(id="help", address=NamedAddress.parse("help@example.org"),
        ...                      inbound=ArrivesIn("sales"))
        >>> [problem.code for problem in Directory().problems(alone)]
        ['account-unknown']
        """
        if account is not self.find_account(account.id):
            return self._judged(account)
        # Each poll asks for one of these, and nothing here ever changes.
        if account.id not in self._known_problems:
            self._known_problems[account.id] = self._judged(account)
        return self._known_problems[account.id]

    @functools.cached_property
    def _known_problems(self) -> dict[str, tuple[Problem, ...]]:
        return {}

    def _judged(self, account: EmailAccount) -> tuple[Problem, ...]:
        return (
            *own_problems(account),
            *self._claims.problems(account),
            *_arrival_problems(account, self),
            *_default_problems(account, self),
        )

    def all_problems(self) -> tuple[tuple[str, Problem], ...]:
        """Return what is wrong anywhere: pairs of an account's id and its problem.

        Problems of the directory itself come first, with the empty text for an id.
        """
        found = [("", problem) for problem in _directory_problems(self)]
        for account in self.accounts:
            found += [(account.id, problem) for problem in self.problems(account)]
        return tuple(found)

    def removal_problems(self, account_id: str) -> tuple[Problem, ...]:
        """Return what still points at an account.

        An error is to be changed before the account is removed; a warning falls back by itself.

        Raises:
            RecordNotFoundError: There is no such account.
        """
        self.account(account_id)
        return tuple(_removal_problems(self, account_id))


def directory_to_dict(directory: Directory) -> dict[str, object]:
    """Write a directory as a plain dictionary, with the number of its schema."""
    return write_document(directory)


def directory_from_dict(data: Mapping[str, object]) -> Directory:
    """Read a directory from a plain dictionary; reading back what was written gives an equal one.

    >>> directory = Directory(departments=(Department(id="sales", name="Sales"),))
    >>> directory_from_dict(directory_to_dict(directory)) == directory
    True

    Raises:
        AccountError: A key is unknown or missing, a value has the wrong type, or the schema is
            unknown: names the field, what was found and what is expected.
    """
    return read_document(Directory, data)


def _found(record: _Found | None, kind: str, record_id: str) -> _Found:
    if record is None:
        raise RecordNotFoundError(f"there is no {kind} with the id {record_id!r}")
    return record


def _arrival_problems(account: EmailAccount, directory: Directory) -> Iterator[Problem]:
    if not isinstance(account.inbound, ArrivesIn):
        return
    field, target_id = "inbound.arrives_in", account.inbound.account_id
    if target_id == account.id:
        yield error(field, "arrives-in-itself", "Mail cannot arrive in the account's own mailbox.")
        return
    target = directory.find_account(target_id)
    if target is None:
        yield error(field, "account-unknown", f"There is no account {target_id!r}.")
    elif target.mailbox is None:
        text = f"The account {target_id!r} has no mailbox of its own."
        yield error(field, "account-without-mailbox", text)
    elif not (target.enabled and target.mailbox.enabled):
        text = f"The mailbox of the account {target_id!r} is not polled: it is disabled."
        yield warning(field, "account-disabled", text)


def _default_problems(account: EmailAccount, directory: Directory) -> Iterator[Problem]:
    # A host may keep its departments to itself; then the names are its own affair.
    if account.defaults.department is None or not directory.departments:
        return
    field = "defaults.department"
    department = directory.find_department(account.defaults.department)
    if department is None:
        text = f"There is no department {account.defaults.department!r}."
        yield error(field, "department-unknown", text)
    elif department.status is not DepartmentStatus.ACTIVE:
        text = f"The department {department.id!r} is {department.status.value}."
        yield warning(field, "department-inactive", text)


def _directory_problems(directory: Directory) -> Iterator[Problem]:
    for kind, records in (("accounts", directory.accounts), ("departments", directory.departments)):
        for record_id, count in collections.Counter(record.id for record in records).items():
            if count > 1:
                text = f"{count} of them have the id {record_id!r}; the first one counts."
                yield error(kind, "id-twice", text)
    for field in ("default_account", "alert_account", "default_mta"):
        yield from _reference_problems(directory, field, getattr(directory, field))
    if directory.accounts and directory.default_account is None:
        text = "No account answers when nothing else says from where."
        yield warning("default_account", "default-missing", text)
    mta = directory.find_account(directory.default_mta)
    if mta is not None and (mta.outbound is None or not mta.outbound.enabled):
        text = f"The account {mta.id!r} cannot send: it has no outbound server, or a disabled one."
        yield error("default_mta", "mta-cannot-send", text)
    for index, department in enumerate(directory.departments):
        yield from _department_problems(directory, f"departments[{index}]", department)


def _reference_problems(
    directory: Directory, field: str, account_id: str | None
) -> Iterator[Problem]:
    if account_id is None:
        return
    account = directory.find_account(account_id)
    if account is None:
        yield error(field, "account-unknown", f"There is no account {account_id!r}.")
    elif not account.enabled:
        yield warning(field, "account-disabled", f"The account {account_id!r} is disabled.")


def _department_problems(
    directory: Directory, field: str, department: Department
) -> Iterator[Problem]:
    yield from _reference_problems(directory, f"{field}.outgoing", department.outgoing)
    yield from _reference_problems(directory, f"{field}.autoresponse", department.autoresponse)
    if department.parent is None:
        return
    if directory.find_department(department.parent) is None:
        text = f"There is no department {department.parent!r}."
        yield error(f"{field}.parent", "department-unknown", text)
    elif department in directory.lineage(department.parent):
        text = f"The department {department.id!r} is above itself."
        yield error(f"{field}.parent", "parent-cycle", text)


def _removal_problems(directory: Directory, account_id: str) -> Iterator[Problem]:
    for field in ("default_account", "alert_account", "default_mta"):
        if getattr(directory, field) == account_id:
            yield error(field, "still-used", f"{account_id!r} is the directory's {field}.")
    for index, other in enumerate(directory.accounts):
        if other.id != account_id and other.inbound == ArrivesIn(account_id):
            text = f"Mail of the account {other.id!r} arrives in the mailbox of {account_id!r}."
            yield error(f"accounts[{index}].inbound.arrives_in", "still-used", text)
    for index, department in enumerate(directory.departments):
        for field in ("outgoing", "autoresponse"):
            if getattr(department, field) == account_id:
                text = f"The department {department.id!r} would fall back to what else there is."
                yield warning(f"departments[{index}].{field}", "falls-back", text)
