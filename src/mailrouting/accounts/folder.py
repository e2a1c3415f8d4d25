"""Say which folder names are one folder (floor 2)."""

__all__ = ["canonical_folder"]

_INBOX = "INBOX"


def canonical_folder(name: str) -> str:
    """Return a folder's name as it is compared: INBOX knows no case (RFC 9051 §5.1).

    >>> canonical_folder("Inbox"), canonical_folder("Sales")
    ('INBOX', 'Sales')
    """
    return _INBOX if name.upper() == _INBOX else name
