"""Read mail in a child process that may die of it (floor 7).

`mailrouting.reading.read` is pure, linear and never raises; that is a promise of ours. This is for
who wants the promise held by the system: a mail that would kill the process, hang it or take all
memory takes a child with it and nothing else. Its attempt fails in the step `read`, and at last the
mail is quarantined; all other mail flows.
"""

from mailrouting.isolation._parent import Isolation as Isolation

__all__ = ["Isolation"]
