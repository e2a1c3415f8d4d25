"""Decide who gets a mail (floor 4)."""

from collections.abc import Iterable

from mailrouting.addresses import AddressRole, NamedAddress
from mailrouting.directory import Directory
from mailrouting.errors import AddressError
from mailrouting.outbound.values import (
    OutboundContext,
    Purpose,
    Recipients,
    passed_over,
)
from mailrouting.records import TraceStep

__all__ = ["recipients"]

_QUOTED_CHARACTERS = 80


def recipients(directory: Directory, *, purpose: Purpose, context: OutboundContext) -> Recipients:
    """Decide who gets a mail.

    A reply goes to Reply-To, or to From when nobody in Reply-To can be written to (RFC 5322
    §3.6.2), with Cc. An automatic response goes to Return-Path and nobody else; with a null
    Return-Path to nobody (RFC 3834 §4). Alerts and system notices go to `OutboundContext.notify`,
    a system notice without any to the admin. Our own addresses and the suppressed are left out.
    """
    if purpose is Purpose.REPLY:
        return _of_reply(directory, context)
    trace: list[TraceStep] = []
    if purpose is Purpose.AUTORESPONSE:
        step, wanted = "return-path", _return_path(context)
        if not wanted:
            because = "it is null or unknown: an automatic response has nowhere to go"
            trace.append(passed_over(step, because))
    elif purpose is Purpose.SYSTEM and not context.notify:
        admin = directory.admin_address
        step, wanted = "admin", () if admin is None else (str(admin),)
    else:
        step, wanted = "notify", context.notify
    to = _usable(wanted, step, directory, context, trace)
    return Recipients(to=to, trace=tuple(trace))


def _of_reply(directory: Directory, context: OutboundContext) -> Recipients:
    trace: list[TraceStep] = []
    to = _usable(context.reply_to, "reply-to", directory, context, trace)
    to = to or _usable(context.from_, "from", directory, context, trace)
    if not to:
        trace.append(passed_over("cc", "nobody is left in To"))
        return Recipients(trace=tuple(trace))
    cc = _usable(context.cc, "cc", directory, context, trace)
    taken = {address.addr.key for address in to}
    cc = tuple(address for address in cc if address.addr.key not in taken)
    return Recipients(to=to, cc=cc, trace=tuple(trace))


def _return_path(context: OutboundContext) -> tuple[str, ...]:
    path = (context.return_path or "").strip(" \t").removeprefix("<").removesuffix(">")
    return (path,) if path else ()


def _usable(
    texts: Iterable[str],
    step: str,
    directory: Directory,
    context: OutboundContext,
    trace: list[TraceStep],
) -> tuple[NamedAddress, ...]:
    """Return who of these can be written to; the trace gets a reason for the others."""
    seen: set[str] = set()
    usable: list[NamedAddress] = []
    for text in texts:
        try:
            address = NamedAddress.parse(text)
        except AddressError:
            trace.append(passed_over(step, f"{text[:_QUOTED_CHARACTERS]!r} is no address"))
            continue
        key = address.addr.key
        if key in seen:
            continue
        seen.add(key)
        own = directory.address_book.find(address.addr)
        # In a catch-all domain colleagues have addresses too.
        if own is not None and own.role is not AddressRole.CATCH_ALL:
            because = f"{address.addr} is ours (account {own.account_id}): it would be a loop"
            trace.append(passed_over(step, because))
        elif key in context.suppressed:
            trace.append(passed_over(step, f"{address.addr} is suppressed"))
        else:
            trace.append(TraceStep(step, "accepted", f"{address.addr} gets it"))
            usable.append(address)
    return tuple(usable)
