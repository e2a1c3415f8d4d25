"""Hold what is configured for one address of the help desk (floor 2).

`EmailAccount` is a plain value: it connects to nothing and never holds a secret. Its parts are in
`settings`, what people type for a server is in `endpoint`, dictionaries are in `plain`. Whether an
account makes sense among the others is asked of `mailrouting.directory`.
"""

from mailrouting.accounts.endpoint import Endpoint, Problem, ResolvedEndpoint, Severity, TlsMode
from mailrouting.accounts.folder import canonical_folder
from mailrouting.accounts.plain import account_from_dict, account_to_dict
from mailrouting.accounts.settings import (
    AcknowledgeWhen,
    AfterAction,
    AfterFetch,
    Alias,
    AliasUse,
    ArrivesIn,
    EmailAccount,
    FirstRun,
    FirstRunKind,
    InboundSettings,
    MaySendAs,
    OtherFrom,
    OutboundAuth,
    OutboundSettings,
    TicketDefaults,
    TrustedAuthentication,
)

__all__ = [
    "AcknowledgeWhen",
    "AfterAction",
    "AfterFetch",
    "Alias",
    "AliasUse",
    "ArrivesIn",
    "EmailAccount",
    "Endpoint",
    "FirstRun",
    "FirstRunKind",
    "InboundSettings",
    "MaySendAs",
    "OtherFrom",
    "OutboundAuth",
    "OutboundSettings",
    "Problem",
    "ResolvedEndpoint",
    "Severity",
    "TicketDefaults",
    "TlsMode",
    "TrustedAuthentication",
    "account_from_dict",
    "account_to_dict",
    "canonical_folder",
]
