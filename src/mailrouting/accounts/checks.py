"""Check one account by itself (floor 2); `mailrouting.directory` checks it among the others."""

from collections.abc import Iterator
from datetime import timedelta

import attrs

from mailrouting.accounts.endpoint import Endpoint, Problem, Severity, TlsMode
from mailrouting.accounts.folder import canonical_folder
from mailrouting.accounts.settings import (
    AcknowledgeWhen,
    AfterAction,
    AfterFetch,
    AliasUse,
    EmailAccount,
    FirstRunKind,
    InboundSettings,
    OutboundAuth,
    OutboundSettings,
)
from mailrouting.addresses import LOCAL_PART_OCTETS, AddrSpec, find_control
from mailrouting.auth import Dialect, MailProtocol
from mailrouting.errors import AccountError, AddressError

__all__ = ["error", "own_problems", "warning"]

_DETAIL_OCTETS = 32  # the longest token that goes behind a subaddress separator
_SEPARATORS = frozenset("!#$%&'*+-/=?^_`{|}~")


def error(field: str, code: str, message: str) -> Problem:
    """Make a problem that forbids saving."""
    return Problem(field=field, code=code, severity=Severity.ERROR, message=message)


def warning(field: str, code: str, message: str) -> Problem:
    """Make a problem that may be saved."""
    return Problem(field=field, code=code, severity=Severity.WARNING, message=message)


def own_problems(account: EmailAccount) -> Iterator[Problem]:
    """Find what is wrong with an account whatever else is configured."""
    yield from _address_problems(account)
    if account.mailbox is not None:
        yield from _inbound_problems(account.mailbox)
    if account.outbound is not None:
        yield from _outbound_problems(account, account.outbound)
    trusted = account.trusted_authentication
    if trusted is not None and not (trusted.authserv_ids or trusted.topmost_without_id):
        yield warning(
            "trusted_authentication",
            "trusts-nothing",
            "No Authentication-Results field is named as trusted; name an authserv-id.",
        )
    if trusted is not None and not all(trusted.authserv_ids):
        yield error(
            "trusted_authentication.authserv_ids",
            "authserv-id-empty",
            "An authserv-id is empty; a field without one is trusted by topmost_without_id.",
        )


def _address_problems(account: EmailAccount) -> Iterator[Problem]:
    for index, domain in enumerate(account.catch_all_domains):
        yield from _domain_problems(f"catch_all_domains[{index}]", domain)
    if account.subaddress is None:
        return
    if not account.subaddress or not _SEPARATORS.issuperset(account.subaddress):
        yield error(
            "subaddress",
            "subaddress-separator",
            f"The separator {account.subaddress!r} is none that a local part may hold; "
            "most servers take '+'.",
        )
        return
    sending = [("address", account.address.addr)]
    sending += [
        (f"aliases[{index}].address", alias.address.addr)
        for index, alias in enumerate(account.aliases)
        if alias.use is AliasUse.SEND_AS
    ]
    for field, address in sending:
        yield from _subaddress_problems(field, address, account.subaddress)


def _subaddress_problems(field: str, address: AddrSpec, separator: str) -> Iterator[Problem]:
    if address.local.startswith('"'):
        yield error(
            field,
            "subaddress-quoted",
            f"{address} has a quoted local part, which takes no subaddress.",
        )
        return
    room = LOCAL_PART_OCTETS - len(f"{address.local}{separator}".encode())
    if room < _DETAIL_OCTETS:
        yield error(
            field,
            "subaddress-too-long",
            f"{address} leaves {room} of {LOCAL_PART_OCTETS} octets for the subaddress, "
            f"{_DETAIL_OCTETS} are needed (RFC 5321 §4.5.3.1.1).",
        )


def _domain_problems(field: str, domain: str) -> Iterator[Problem]:
    try:
        AddrSpec.parse(f"postmaster@{domain}")
    except AddressError:
        yield error(field, "domain-invalid", f"{domain!r} is no domain.")


def _inbound_problems(inbound: InboundSettings) -> Iterator[Problem]:
    if inbound.protocol is MailProtocol.SMTP:
        yield error(
            "inbound.protocol", "protocol-inbound", "A mailbox is read by IMAP or POP3, not SMTP."
        )
        return
    yield from _endpoint_problems("inbound", inbound.endpoint, inbound.protocol, has_password=True)
    yield from _dialect_problems(inbound)
    yield from _poll_problems(inbound)
    yield from _first_run_problems(inbound)
    yield from _folder_problems("inbound.folder", inbound.folder)
    if inbound.protocol is MailProtocol.POP3 and canonical_folder(inbound.folder) != "INBOX":
        yield error("inbound.folder", "pop3-folder", "POP3 has no folders; only INBOX can be read.")
    for name in ("processed", "filtered", "quarantined"):
        yield from _after_problems(f"inbound.{name}", getattr(inbound, name), inbound)
    if inbound.acknowledge_when is AcknowledgeWhen.STORED and (
        inbound.filtered != inbound.processed or inbound.quarantined != inbound.processed
    ):
        yield warning(
            "inbound.acknowledge_when",
            "stored-one-way",
            "With STORED the outcome is not known yet: what is set for processed mail holds for "
            "filtered and quarantined mail as well.",
        )


def _dialect_problems(inbound: InboundSettings) -> Iterator[Problem]:
    if inbound.dialect is Dialect.MASTER_USER and not inbound.master_user_separator:
        yield error(
            "inbound.master_user_separator",
            "separator-empty",
            "The separator between mailbox and master user is empty; Dovecot's is '*'.",
        )
    if inbound.dialect is Dialect.MASTER_USER and inbound.login.authname is None:
        yield warning(
            "inbound.login",
            "master-user-unnamed",
            "The login names no master user, so MASTER_USER changes nothing.",
        )


def _poll_problems(inbound: InboundSettings) -> Iterator[Problem]:
    if inbound.fetch_every <= timedelta(0):
        yield error(
            "inbound.fetch_every", "not-positive", "The time between polls must be above 0."
        )
    if inbound.max_per_fetch < 1:
        yield error(
            "inbound.max_per_fetch", "not-positive", "A poll must take in at least one mail."
        )
    if inbound.silent_after_hours is not None and inbound.silent_after_hours < 1:
        yield error(
            "inbound.silent_after_hours",
            "not-positive",
            "An account is silent after an hour or more.",
        )


def _first_run_problems(inbound: InboundSettings) -> Iterator[Problem]:
    if inbound.first_run.kind is FirstRunKind.SINCE and inbound.first_run.since is None:
        yield error("inbound.first_run", "date-missing", "The first run is since a day: name it.")
    if inbound.first_run.kind is not FirstRunKind.SINCE and inbound.first_run.since is not None:
        yield error(
            "inbound.first_run",
            "date-contradicts",
            f"The first run is {inbound.first_run.kind.value}, but a day is named.",
        )


def _after_problems(field: str, after: AfterFetch, inbound: InboundSettings) -> Iterator[Problem]:
    if inbound.protocol is MailProtocol.POP3 and after.action in {
        AfterAction.MARK_SEEN,
        AfterAction.MOVE,
    }:
        yield error(
            field, f"pop3-{after.action.value}", "POP3 has no flags and no folders: keep or delete."
        )
    if after.action is AfterAction.DELETE and inbound.acknowledge_when is AcknowledgeWhen.STORED:
        yield warning(
            field,
            "delete-stored",
            "With STORED the mail is deleted before it is converted: the storage holds the only "
            "copy. Move it instead, or acknowledge when CONVERTED.",
        )
    if after.action is not AfterAction.MOVE:
        if after.folder is not None:
            yield error(
                field,
                "folder-unused",
                f"A folder is named, but the action is {after.action.value}, not move.",
            )
        return
    if after.folder is None:
        yield error(field, "folder-missing", "Mail is to be moved: name the folder.")
        return
    yield from _folder_problems(field, after.folder)
    if canonical_folder(after.folder) == canonical_folder(inbound.folder):
        yield error(
            field,
            "folder-fetched",
            f"Mail would be moved into {after.folder!r}, the folder that is read.",
        )


def _folder_problems(field: str, folder: str) -> Iterator[Problem]:
    if not folder or find_control(folder) is not None:
        yield error(
            field, "folder-invalid", "The folder's name is empty or has a control character."
        )


def _outbound_problems(account: EmailAccount, outbound: OutboundSettings) -> Iterator[Problem]:
    yield from _endpoint_problems(
        "outbound",
        outbound.endpoint,
        MailProtocol.SMTP,
        has_password=outbound.auth is not OutboundAuth.NONE,
    )
    if outbound.auth is OutboundAuth.SAME_AS_INBOUND and account.mailbox is None:
        yield error(
            "outbound.auth",
            "no-inbound-login",
            "Sending is to use the mailbox's login, but the account has no mailbox of its own.",
        )
    for index, domain in enumerate(outbound.may_send_as.domains):
        yield from _domain_problems(f"outbound.may_send_as.domains[{index}]", domain)
    for name in ("per_minute", "per_day"):
        limit = getattr(outbound, name)
        if limit is not None and limit < 1:
            yield error(
                f"outbound.{name}",
                "not-positive",
                "The limit must be at least 1; without one it is None.",
            )


def _endpoint_problems(
    room: str, endpoint: Endpoint, protocol: MailProtocol, *, has_password: bool
) -> Iterator[Problem]:
    for problem in endpoint.problems(protocol):
        yield attrs.evolve(problem, field=f"{room}.{problem.field}")
    try:
        tls = endpoint.resolve(protocol).tls
    except AccountError:
        return
    if tls is TlsMode.CLEARTEXT and has_password:
        yield warning(
            f"{room}.endpoint.tls",
            "cleartext-password",
            "Password and mail go over the network unencrypted.",
        )
