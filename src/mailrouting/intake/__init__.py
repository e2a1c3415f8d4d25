"""Hold the steps of taking mail in, below `mailrouting.fetch` (floor 5a).

`fetch` drives them; each step is one module: collecting (read what is new), explaining (gather and
decide), drafting (what to propose, what to store), converting (one claim, one outcome), attempting
(when that fails: later, or quarantine), acknowledging (tell the server), reports (say what was done).
"""

__all__: list[str] = []
