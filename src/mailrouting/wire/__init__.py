"""Speak with mail servers (floor 6): sockets, TLS, and the protocols' own words.

`imap` is a `MailSession` at a real server, `tls` makes the context it is given. `trouble` words the
errors of sessions and `guard` refuses what no command line may carry, for the fakes too. Hosts come
in through `mailrouting.connect`.
"""

__all__: list[str] = []
