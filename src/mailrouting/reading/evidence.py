"""Hold what a mail shows about its kind, prepared once."""

import re

import attrs

from mailrouting.reading.header_block import HeaderBlock
from mailrouting.reading.headers import decode_value
from mailrouting.reading.message import HeaderAddress, Kind
from mailrouting.reading.parameters import MediaType
from mailrouting.reading.reports import Reports

__all__ = ["AUTO_SUBJECT", "PROGRAMS_SUBJECT", "Evidence", "Signs"]

# A sign and the kind that it stands for; None for a sign that decides nothing.
Signs = list[tuple[Kind | None, str]]

_AUTO_WORDS = (
    r"(?:auto(?:matic|mated|matische?)?[ -]?(?:reply|response|antwort|re:|:)|auto:|out of (?:the )?office"
    r"|abwesenheit|automatische (?:antwort|abwesenheit)|automatisch antwoord|réponse automatique|reponse automatique"
    r"|absence du bureau|respuesta automática|respuesta automatica|fuera de la oficina|risposta automatica"
    r"|fuori (?:sede|ufficio)|autosvar|frånvaro|automaattinen|automatyczna odpowiedź|automatická odpověď"
    r"|resposta automática|автоответ|автоматический ответ|автоматична відповідь|自動応答|自動返信|自动回复|自动答复|自動回覆|자동 (?:회신|응답)"
    r"|automatisk svar|automatiskt svar|frånvarande|afwezig|poza biurem|автовідповідь|תשובה אוטומטית|رد تلقائي|automatischer antwort|automatické|automatikus (?:válasz|üzenet)|răspuns automat|odpowiedź automatyczna"
    r"|αυτόματη απάντηση|otomatik|abwesend\b|ooo:)"
)
AUTO_SUBJECT = re.compile(rf"\s{{0,5}}{_AUTO_WORDS}", re.IGNORECASE)
# `Automatic reply: hello` and `Out of Office AutoReply`, not `Automatic reply is broken`.
PROGRAMS_SUBJECT = re.compile(
    rf"\s{{0,5}}{_AUTO_WORDS}(?:(?<=:)|\w{{0,20}}(?: (?:auto-?reply|yanıt|vastaus|message))?\s{{0,3}}(?:[:：]|$))",
    re.IGNORECASE,
)


@attrs.define(kw_only=True)
class Evidence:
    """Hold the header, and what reading made of the rest.

    Attributes:
        header: The mail's own header.
        media: Its Content-Type.
        reports: What its report parts say.
        sender: The sender in From.
        return_path: The topmost Return-Path; empty is the null reverse-path.
        subject: The decoded subject.
        text: The text body.
        returns_mail: True when a mail, or the header of one, is attached.
        recipients: The addresses of To.
    """

    header: HeaderBlock
    media: MediaType
    reports: Reports
    sender: HeaderAddress | None
    return_path: str | None
    subject: str
    text: str
    returns_mail: bool
    recipients: tuple[str, ...]

    def values(self, name: str) -> list[str]:
        """Return the decoded values of a field; `name` is in lower case."""
        return [decode_value(value) for value in self.header.all(name.encode())]

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Tell whether the header has a field of one of the names, in lower case."""
        return not names.isdisjoint(self.header.names)

    @property
    def report_type(self) -> str:
        """Return the type of a multipart/report in lower case, or an empty text."""
        if self.media.full != "multipart/report":
            return ""
        return self.media.parameters.token("report-type").lower()

    @property
    def says_delivery_status(self) -> bool:
        """Tell whether the Content-Type says delivery status."""
        return self.report_type in ("delivery-status", "delivery-notification")

    @property
    def local_part(self) -> str:
        """Return what stands before the `@` of the sender's address."""
        return self.sender.address.partition("@")[0] if self.sender else ""
