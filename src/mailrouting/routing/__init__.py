"""Decide what is to be done with a mail, and say why (floor 4): pure.

`decide` looks, in this order, at: whether the mail can be read at all, our own loop, reports about
our mail, copies of the same mail, the host's rules, the ticket it answers, a new ticket. Each step
leaves a `TraceStep`. No mail is dropped here: every way out is an `Action` with a reason.
"""

from mailrouting.routing.case import People, RoutingPolicy, SeveralOurs, SubjectNumber
from mailrouting.routing.deciding import decide
from mailrouting.routing.receiving import authenticity, receiving_account
from mailrouting.routing.responding import Copies

__all__ = [
    "Copies",
    "People",
    "RoutingPolicy",
    "SeveralOurs",
    "SubjectNumber",
    "authenticity",
    "decide",
    "receiving_account",
]
