"""Decide from which address a mail leaves, through which accounts, and to whom (floor 4).

Pure: one snapshot of the configuration and what is known of the ticket go in; a `Resolution` that
says why comes out. It is stored with the outgoing message, so that a ticket that is moved
meanwhile changes nothing in flight.
"""

from mailrouting.accounts import EmailAccount, OtherFrom, OutboundSettings
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.directory import Directory
from mailrouting.errors import OutboundUnresolvedError
from mailrouting.outbound.addressing import recipients
from mailrouting.outbound.choosing import Identity, candidates, identify, sending_addresses
from mailrouting.outbound.values import (
    CandidateOrder,
    OutboundContext,
    OutboundPolicy,
    Purpose,
    Recipients,
    Resolution,
    TransportPlan,
    passed_over,
)
from mailrouting.records import TraceStep

__all__ = [
    "CandidateOrder",
    "OutboundContext",
    "OutboundPolicy",
    "Purpose",
    "Recipients",
    "Resolution",
    "TransportPlan",
    "recipients",
    "resolve",
]


def resolve(
    directory: Directory,
    *,
    purpose: Purpose,
    context: OutboundContext | None = None,
    policy: OutboundPolicy | None = None,
) -> Resolution:
    """Decide from which address a mail leaves, through which servers, and to whom.

    Candidates are tried in this order: for an automatic response the department's account for
    those; the agent's choice; the address that the ticket answers from; the department's outgoing
    account, then its parents'; the address that the customer wrote to (`OutboundPolicy.order`);
    the alert account for alerts and system notices; the default account; the default MTA's own
    address. The first that a server may send wins: its own account's, then the default MTA's.

    `Directory.sending` does not change the answer, so that a host can show it; the trace says that
    nothing leaves, and the outbox holds the mail until the switch is on again.

    >>> from mailrouting.accounts import Endpoint, OutboundAuth
    >>> help_desk = EmailAccount(
    ...     id="help", address=NamedAddress.parse("Help <help@example.org>"),
    ...     outbound=OutboundSettings(endpoint=Endpoint("localhost"), auth=OutboundAuth.NONE))
    >>> resolution = resolve(
    ...     Directory(accounts=(help_desk,), default_account="help"), purpose=Purpose.REPLY,
    ...     context=OutboundContext(from_=("customer@example.net",)))
    >>> str(resolution.from_), [str(to) for to in resolution.recipients.to]
    ('"Help" <help@example.org>', ['customer@example.net'])

    Args:
        directory: All that is configured.
        purpose: What the mail is for.
        context: What is known of the ticket; None: nothing.
        policy: The host's choices; None: the defaults.

    Raises:
        OutboundUnresolvedError: No candidate can be sent; `tried` has a reason for each.
    """
    context = context or OutboundContext()
    trace: list[TraceStep] = []
    if not directory.sending:
        trace.append(
            TraceStep("sending", "switched off", "the directory holds all mail back for now")
        )
    for candidate in candidates(directory, purpose, context, policy or OutboundPolicy()):
        identity = identify(directory, candidate)
        if isinstance(identity, str):
            trace.append(passed_over(candidate.step, identity))
            continue
        steps, plans = _transports(directory, identity, purpose)
        if not plans:
            because = f"no server may send {identity.address.addr}"
            trace += [passed_over(candidate.step, because), *steps]
            continue
        trace += [TraceStep(candidate.step, "accepted", identity.because), *steps]
        to = recipients(directory, purpose=purpose, context=context)
        return Resolution(
            account_id=identity.account.id,
            transports=tuple(plans),
            recipients=to,
            trace=(*trace, *to.trace),
        )
    raise OutboundUnresolvedError(
        f"no address may send this {purpose.value}: {len(trace)} steps were tried",
        tried=trace,
        hint="Set a default account with an outbound server, or a default MTA.",
    )


def _transports(
    directory: Directory, identity: Identity, purpose: Purpose
) -> tuple[list[TraceStep], list[TransportPlan]]:
    steps: list[TraceStep] = []
    plans: list[TransportPlan] = []
    accounts = [identity.account]
    mta = directory.find_account(directory.default_mta)
    if mta is not None and mta.id != identity.account.id:
        accounts.append(mta)
    for account in accounts:
        step = f"server of {account.id}"
        outbound = account.outbound
        if not account.enabled:
            steps.append(passed_over(step, "the account is disabled"))
        elif outbound is None:
            steps.append(passed_over(step, "the account has no outbound server"))
        elif not outbound.enabled:
            steps.append(passed_over(step, "its outbound server is disabled"))
        elif plan := _plan(account, outbound, identity.address, purpose, steps):
            plans.append(plan)
    return steps, plans


def _plan(
    account: EmailAccount,
    outbound: OutboundSettings,
    wanted: NamedAddress,
    purpose: Purpose,
    steps: list[TraceStep],
) -> TransportPlan | None:
    """Say how mail from an address leaves through an account's server, or None if it may not."""
    step = f"server of {account.id}"
    from_, sender = wanted, None
    reply_to: tuple[NamedAddress, ...] = ()
    if _may_send(account, outbound, wanted.addr):
        steps.append(TraceStep(step, "as it is", f"it may send {wanted.addr}"))
    elif outbound.other_from is OtherFrom.SENDER:
        sender = account.address
        steps.append(TraceStep(step, "with Sender", f"it sends {wanted.addr} as {sender.addr}"))
    elif outbound.other_from is OtherFrom.REWRITE:
        name = f"{wanted.name} ({wanted.addr})" if wanted.name else str(wanted.addr)
        from_, reply_to = NamedAddress(account.address.addr, name), (wanted,)
        steps.append(TraceStep(step, "rewritten", f"it may send {from_.addr} only"))
    else:
        steps.append(passed_over(step, f"it refuses {wanted.addr}"))
        return None
    reverse_path: AddrSpec | None = outbound.bounce_address or (sender or from_).addr
    if purpose is Purpose.AUTORESPONSE and outbound.null_reverse_path:
        reverse_path = None
    return TransportPlan(
        account_id=account.id,
        from_=from_,
        sender=sender,
        reply_to=reply_to,
        reverse_path=reverse_path,
    )


def _may_send(account: EmailAccount, outbound: OutboundSettings, address: AddrSpec) -> bool:
    own = {allowed.addr.key for allowed in sending_addresses(account)}
    return address.key in own or outbound.may_send_as.covers(address)
