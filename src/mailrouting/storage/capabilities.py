"""Name what an adapter can do (floor 3b)."""

import enum

__all__ = ["Capability"]


class Capability(enum.Enum):
    """Say what an adapter can do beyond the floor that every adapter has."""

    DURABLE = "what was returned survives close and the death of the process"
    MULTI_HANDLE = "several handles on the same data may be open at once"
    MULTI_PROCESS = "several processes may use the same data at once"
    SHARED_TRANSACTION = "the host's rows written through `tx` commit with ours, or not at all"
    GUARDED_TRANSACTION = "a hook that begins, commits or rolls back is stopped at once"
