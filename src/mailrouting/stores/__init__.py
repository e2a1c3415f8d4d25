"""Keep what `mailrouting.storage` describes (floor 6). Each adapter is imported by its own name.

`memory` for tests, `sqlite` for one machine; `sql` is what an adapter for another SQL database stands
on.
"""

__all__: list[str] = []
