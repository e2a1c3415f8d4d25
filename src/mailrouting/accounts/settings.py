"""Hold what is configured for one address of the help desk (floor 2).

All of it is plain values: nothing here connects, and no secret is ever a part of it (secrets
come through `Credentials`). Whether the settings make sense is asked of `Directory.problems`.
"""

import enum
from datetime import date, timedelta

import attrs

from mailrouting.accounts.endpoint import Endpoint
from mailrouting.accounts.url import MailboxUrl
from mailrouting.addresses import AddrSpec, NamedAddress, domain_key, find_control, find_unsendable
from mailrouting.auth import Dialect, Login, MailProtocol
from mailrouting.errors import AccountError, AddressError

__all__ = [
    "AcknowledgeWhen",
    "AfterAction",
    "AfterFetch",
    "Alias",
    "AliasUse",
    "ArrivesIn",
    "EmailAccount",
    "FirstRun",
    "FirstRunKind",
    "InboundSettings",
    "MaySendAs",
    "OtherFrom",
    "OutboundAuth",
    "OutboundSettings",
    "TicketDefaults",
    "TrustedAuthentication",
]

_ID_CHARACTERS = 255


class AliasUse(enum.Enum):
    """Say what a further address of an account is for."""

    SEND_AS = "send-as"
    """It receives, and mail may leave from it."""
    RECEIVE_ONLY = "receive-only"
    """It receives; answers leave from the account's own address."""
    RETIRED = "retired"
    """It still receives what old mail points at, and is given out no more."""


class AfterAction(enum.Enum):
    """Say what happens on the server to a mail that has an outcome."""

    KEEP = "keep"
    MARK_SEEN = "mark-seen"
    DELETE = "delete"
    MOVE = "move"


@attrs.frozen
class AfterFetch:
    """Hold what happens on the server to a mail that has an outcome.

    Attributes:
        action: What is done.
        folder: Where it is moved; only for `MOVE`.
    """

    action: AfterAction
    folder: str | None = None

    @classmethod
    def keep(cls) -> "AfterFetch":
        """Leave the mail untouched: what was done is known from the storage alone."""
        return cls(AfterAction.KEEP)

    @classmethod
    def mark_seen(cls) -> "AfterFetch":
        r"""Set the flag `\Seen`, and leave the mail where it is (IMAP)."""
        return cls(AfterAction.MARK_SEEN)

    @classmethod
    def delete(cls) -> "AfterFetch":
        """Delete the mail from the server."""
        return cls(AfterAction.DELETE)

    @classmethod
    def move(cls, folder: str) -> "AfterFetch":
        """Move the mail to another folder of the mailbox (IMAP)."""
        return cls(AfterAction.MOVE, folder)


class AcknowledgeWhen(enum.Enum):
    """Say when a mail may be touched on the server."""

    CONVERTED = "converted"
    """When it has an outcome: until then the server keeps it as it was."""
    STORED = "stored"
    """When its raw bytes are stored, before its outcome is known: `processed` holds for all."""


class FirstRunKind(enum.Enum):
    """Say what of a mailbox is taken in when it is met for the first time."""

    ALL = "all"
    SINCE = "since"
    ONLY_NEW = "only-new"


@attrs.frozen
class FirstRun:
    """Hold what of a mailbox is taken in when it is met for the first time.

    Attributes:
        kind: The choice.
        since: The first day whose mail is taken in, by the server's arrival date; for `SINCE`.
    """

    kind: FirstRunKind
    since: date | None = None

    @classmethod
    def all(cls) -> "FirstRun":
        """Take in every mail that is there."""
        return cls(FirstRunKind.ALL)

    @classmethod
    def since_date(cls, day: date) -> "FirstRun":
        """Take in what arrived on that day or later."""
        return cls(FirstRunKind.SINCE, day)

    @classmethod
    def only_new(cls) -> "FirstRun":
        """Take in what arrives from the first poll on."""
        return cls(FirstRunKind.ONLY_NEW)


@attrs.frozen
class ArrivesIn:
    """Say that an address has no mailbox of its own: its mail arrives in another account's.

    Attributes:
        account_id: The account whose mailbox it is.
    """

    account_id: str


@attrs.frozen(kw_only=True)
class InboundSettings:
    """Hold how an account's mailbox is read.

    What happens to mail is `KEEP` unless chosen: a default that marks, moves or removes mail
    would change a mailbox that other people work in. `first_run` has no default, because both
    a thousand old mails as tickets and a missed one are bad surprises.

    Attributes:
        protocol: IMAP or POP3.
        endpoint: Where the server listens.
        login: Who logs in, and whose mailbox is opened.
        first_run: What is taken in when the mailbox is met for the first time.
        dialect: How the server wants to hear about a shared mailbox.
        master_user_separator: Between mailbox and master user, for `Dialect.MASTER_USER`.
        folder: The folder that is read; POP3 knows `INBOX` only.
        fetch_every: Time from one poll to the next.
        max_per_fetch: How many mails a poll takes in at most; the next poll goes on there.
        processed: What happens to mail that became a ticket or an entry, or was seen before.
        filtered: What happens to mail that a rule took out.
        quarantined: What happens to mail that could not be converted.
        acknowledge_when: When the server may be told.
        silent_after_hours: After so long without mail the account is called silent; None: never.
        enabled: Whether the mailbox is polled.
    """

    protocol: MailProtocol
    endpoint: Endpoint
    login: Login
    first_run: FirstRun
    dialect: Dialect = Dialect.SASL
    master_user_separator: str = "*"
    folder: str = "INBOX"
    fetch_every: timedelta = timedelta(minutes=5)
    max_per_fetch: int = 100
    processed: AfterFetch = AfterFetch(AfterAction.KEEP)
    filtered: AfterFetch = AfterFetch(AfterAction.KEEP)
    quarantined: AfterFetch = AfterFetch(AfterAction.KEEP)
    acknowledge_when: AcknowledgeWhen = AcknowledgeWhen.CONVERTED
    silent_after_hours: int | None = None
    enabled: bool = True


class OutboundAuth(enum.Enum):
    """Say how to log in for sending, when it is not with a login of its own."""

    SAME_AS_INBOUND = "same-as-inbound"
    NONE = "none"


class OtherFrom(enum.Enum):
    """Say what to do with mail whose From an account may not send as it is."""

    SENDER = "sender"
    """Keep the From and add a Sender field with the account's address (RFC 5322 §3.6.2)."""
    REWRITE = "rewrite"
    """Send from the account's address; the original goes into Reply-To and the name."""
    REFUSE = "refuse"
    """Do not send it through this account."""


@attrs.frozen(kw_only=True)
class MaySendAs:
    """Hold which further addresses a server lets an account put into From.

    Attributes:
        addresses: Single addresses.
        domains: Domains of which it may send every address; their subdomains are not meant.
    """

    addresses: tuple[AddrSpec, ...] = ()
    domains: tuple[str, ...] = ()

    def covers(self, address: AddrSpec) -> bool:
        """Tell whether an address is one of these.

        >>> MaySendAs(domains=("example.org",)).covers(AddrSpec.parse("sales@EXAMPLE.org"))
        True
        """
        if any(address.key == allowed.key for allowed in self.addresses):
            return True
        return domain_key(address.domain) in map(domain_key, self.domains)


@attrs.frozen(kw_only=True)
class OutboundSettings:
    """Hold how mail leaves through an account.

    Attributes:
        endpoint: Where the submission server listens.
        auth: The mailbox's login, none, or a login of its own.
        may_send_as: What else may be in From; its own address and its send-as aliases always may.
        other_from: What to do with any other From.
        per_minute: The most mails a minute, or None for no limit.
        per_day: The most mails a day, or None for no limit.
        bounce_address: Reverse-path of what leaves here, or None for the sending address.
        null_reverse_path: Whether automatic responses leave with `<>` (RFC 3834 §3.3); many
            providers refuse that on submission.
        enabled: Whether mail may leave here.
    """

    endpoint: Endpoint
    auth: OutboundAuth | Login = OutboundAuth.SAME_AS_INBOUND
    may_send_as: MaySendAs = MaySendAs()
    other_from: OtherFrom = OtherFrom.REFUSE
    per_minute: int | None = None
    per_day: int | None = None
    bounce_address: AddrSpec | None = None
    null_reverse_path: bool = False
    enabled: bool = True


@attrs.frozen(kw_only=True)
class TicketDefaults:
    """Hold what a new ticket from an address starts with.

    Attributes:
        department: A department's id, or None for the host's own choice.
        help_topic: The host's name of a topic.
        priority: The host's name of a priority.
        autorespond: Whether new tickets are confirmed to the requester at all.
    """

    department: str | None = None
    help_topic: str | None = None
    priority: str | None = None
    autorespond: bool = True


@attrs.frozen(kw_only=True)
class Alias:
    """Hold a further address of an account.

    Attributes:
        address: The address, with the name that people see.
        use: What it is for.
    """

    address: NamedAddress
    use: AliasUse = AliasUse.SEND_AS


@attrs.frozen(kw_only=True)
class TrustedAuthentication:
    """Say which Authentication-Results fields (RFC 8601) are our own server's, to be believed.

    Attributes:
        authserv_ids: Fields with one of these authserv-ids.
        topmost_without_id: The topmost field, if it has no authserv-id, as Microsoft writes it.
    """

    authserv_ids: tuple[str, ...] = ()
    topmost_without_id: bool = False


def _check_id(_: object, __: object, value: str) -> None:
    if not 1 <= len(value) <= _ID_CHARACTERS:
        raise AccountError(
            f"an account id has {len(value)} characters, expected 1 to {_ID_CHARACTERS}", field="id"
        )
    if find_control(value) is not None or find_unsendable(value) is not None:
        raise AccountError(
            "an account id has a control character or half a surrogate pair",
            field="id",
            hint="Use printable characters.",
        )


@attrs.frozen(kw_only=True)
class EmailAccount:
    """Hold one address of the help desk, with all that is configured for it.

    Attributes:
        id: The host's name for it, 1 to 255 printable characters; mail is known under it, so it stays.
        address: What people write to, and the name that they see.
        aliases: Further addresses whose mail arrives with it.
        inbound: Its own mailbox, or whose mailbox its mail arrives in, or None.
        outbound: How mail leaves through it, or None.
        defaults: What a new ticket starts with.
        subaddress: The separator (RFC 5233) when the server delivers `support+detail@`, else None.
        catch_all_domains: Domains of which every address arrives here.
        trusted_authentication: Whose Authentication-Results are believed; None: nobody's.
        enabled: Whether it takes part at all; the address stays ours when it does not.

    Raises:
        AccountError: The id is empty, too long or unprintable.
    """

    id: str = attrs.field(validator=_check_id)
    address: NamedAddress
    aliases: tuple[Alias, ...] = ()
    inbound: InboundSettings | ArrivesIn | None = None
    outbound: OutboundSettings | None = None
    defaults: TicketDefaults = TicketDefaults()
    subaddress: str | None = None
    catch_all_domains: tuple[str, ...] = ()
    trusted_authentication: TrustedAuthentication | None = None
    enabled: bool = True

    @property
    def mailbox(self) -> InboundSettings | None:
        """The account's own mailbox; None when it has none, or its mail arrives in another's."""
        return self.inbound if isinstance(self.inbound, InboundSettings) else None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        id: str,  # noqa: A002 - the name of the attribute
        address: NamedAddress | str,
        first_run: FirstRun,
    ) -> "EmailAccount":
        """Make an account that reads the mailbox of a URL.

        The scheme is one of `Endpoint`'s that name IMAP or POP3, the path is the folder, and the
        query may name folders where mail is moved: `archive` (processed), `filtered` and
        `quarantined`. Names are percent-encoded. A password is refused: it comes through
        `Credentials`.

        >>> account = EmailAccount.from_url(
        ...     "imaps://help%40acme.example@imap.acme.example/INBOX?archive=Done",
        ...     id="help", address="Acme <help@acme.example>", first_run=FirstRun.only_new())
        >>> account.inbound.processed.folder
        'Done'

        Raises:
            AccountError: The URL is none of a mailbox, or has a password; never quotes it.
        """
        parts = MailboxUrl.parse(url, account_id=id)
        inbound = InboundSettings(
            protocol=parts.protocol,
            endpoint=Endpoint(parts.host),
            login=parts.login,
            folder=parts.folder or "INBOX",
            first_run=first_run,
            processed=_move_or_keep(parts.archive),
            filtered=_move_or_keep(parts.filtered),
            quarantined=_move_or_keep(parts.quarantined),
        )
        if isinstance(address, str):
            try:
                address = NamedAddress.parse(address)
            except AddressError as error:
                raise AccountError(
                    str(error), account_id=id, field="address", hint=error.hint
                ) from error
        return cls(id=id, address=address, inbound=inbound)


def _move_or_keep(folder: str | None) -> AfterFetch:
    return AfterFetch.move(folder) if folder else AfterFetch.keep()
