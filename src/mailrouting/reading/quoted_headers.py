"""Read the header of an earlier mail that a mail program wrote into the text."""

import re
from collections.abc import Sequence

import attrs

from mailrouting.reading.quote_marks import LONGEST_LINE, unquoted

__all__ = [
    "ADDRESS",
    "CLOCK",
    "LEAST_EVIDENCE",
    "QuotedHeader",
    "is_programs_header",
    "read_quoted_header",
    "split_joined_header",
]

_MOST_HEADER_LINES = 24
_LEAST_LABELS = 3
_LABELS = {
    "from": "From|Von|De|Da|Od|Fra|Från|Van|Lähettäjä|Feladó|Kimden|Gönderen|От|От кого|Від|Від кого|Expéditeur"
    "|Remitente|Mittente|Afsender|Avsändare|Nadawca|Odesílatel|De la|Šalje|Pošiljatelj|Отправитель"
    "|发件人|寄件者|寄件人|差出人|送信元|보낸 사람|Από|מאת|보낸사람|발신|Từ|Nuo|Dari|จาก|من|Mailerfrom",
    "to": "To|An|À|A|Para|Do|Til|Till|Aan|Vastaanottaja|Címzett|Kime|Alıcı|Кому|Komu|Destinataire|Destinatario"
    "|Adresat|Către|Prima|Pre|Prejemnik|Primatelj|Получатель|收件人|收件者|宛先|送信先|받는 사람|받는사람|수신|Προς|אל|Pentru|Za",
    "cc": "Cc|CC|Kopie|Kopi|Kopia|Kopio|Másolat|Másolatot kap|Bilgi|Копия|Копія|Dw|DW|Do wiadomości"
    "|Copie à|Copia|Cópia|抄送|副本|참조|Κοιν.|Kópia|Kk|Kopija",
    "bcc": "Bcc|BCC|Cci|Bk|UDW|Скрытая копия",
    "subject": "Subject|Betreff|Objet|Asunto|Assunto|Oggetto|Onderwerp|Emne|Ämne|Aihe|Tárgy|Konu|Тема"
    "|Předmět|Predmet|Temat|Subiect|Naslov|Zadeva|主题|主旨|件名|제목|Θέμα|נושא|Sujet|Titel|Predmet",
    "date": "Date|Sent|Datum|Gesendet|Envoyé|Enviado|Enviada em|Enviado em|Enviado el|Fecha|Data|Inviato|Verzonden|Sendt"
    "|Skickat|Lähetetty|Päivämäärä|Dátum|Elküldve|Tarih|Gönderilen|Gönderildi|Gönderme|Gönderme Tarihi|Дата|Отправлено|Відправлено|Надіслано|Dato"
    "|Wysłano|Wysłane|Päiväys|Vrijeme|发送日期|傳送日期|전송일|Odesláno|Odoslané|Poslano|Dată|Trimis|Trimis la|发送时间|日期|寄件日期|送信日時|日付|日時|날짜|보낸 날짜|Ημερομηνία|Sent on",
    "reply-to": "Reply-To|Reply to|Antwort an|Répondre à|Responder a|Rispondi a|Risposta|Odpowiedz|Ответить",
    "other": "Importance|Priority|Attachments|Anlagen|Anhänge|Wichtigkeit|Pièces jointes|Organization"
    "|Adjuntos|Datos adjuntos|Allegati|Anexos|Organisation|Newsgroups|Message-ID|In-Reply-To",
}
# `Date` stands in forms and logs too; these only a mail has.
_SENT = frozenset((
    "sent", "gesendet", "envoyé", "enviado", "enviado em", "enviado el", "enviada em", "inviato", "verzonden", "sendt", "skickat",
    "lähetetty", "elküldve", "gönderildi", "gönderme", "gönderilen", "gönderme tarihi", "отправлено", "відправлено", "надіслано", "wysłano",
    "wysłane", "odesláno", "odoslané", "poslano", "trimis", "trimis la", "发送时间", "寄件日期", "送信日時", "보낸 날짜", "sent on",
))  # fmt: skip
_ROLES = {label.lower(): role for role, labels in _LABELS.items() for label in labels.split("|")}
_LINE = re.compile(
    r"[\s>*_\u200b\u200e\u200f\ufeff]{0,12}([^\W\d_][\w\-. ]{0,19}?)\s{0,2}\*{0,2}\s?[:：]\*{0,2}(?:\s+|$|(?=\S))"
)
_JOINED = re.compile(
    "(?:" + "|".join(
        re.escape(label)
        for label in sorted("|".join(_LABELS.values()).split("|"), key=len, reverse=True)
    ) + ")\\s?[:]"
)  # fmt: skip
CLOCK = re.compile(r"\b\d{1,2}(?:[:.h]\d{2}|\s?[ap]\.?m\b)|[时時点시]", re.IGNORECASE)
ADDRESS = re.compile(r"@[^\s@<>]{1,255}\.[^\s@<>]{2}")
_ADDRESS_ROLES = ("from", "to", "cc", "reply-to")
LEAST_EVIDENCE = 2


@attrs.frozen(kw_only=True)
class QuotedHeader:
    """Hold a header that a mail program wrote into the text.

    Attributes:
        fields: Role (`from`, `to`, `cc`, `subject`, `date` and others) and value.
        end: Index of the line behind it.
        is_sent: True when the label of its date is one that only mail has (`Sent`).
    """

    fields: dict[str, str]
    end: int
    is_sent: bool = False


def read_quoted_header(
    lines: Sequence[str], start: int, *, least: int = _LEAST_LABELS
) -> QuotedHeader | None:
    """Read a header that begins at a line, or return None.

    Args:
        lines: The text's lines.
        start: Where it would begin.
        least: How many fields it must have; From must be one of them.
    """
    fields: dict[str, str] = {}
    last = ""
    index = start
    end = start
    is_sent = False
    while index < min(len(lines), start + _MOST_HEADER_LINES):
        line = lines[index][: LONGEST_LINE * 5]
        role, value = _field(line)
        if role and role not in fields:
            fields[role] = value
            last = role
            end = index + 1
            is_sent = is_sent or (role == "date" and _label(line) in _SENT)
        elif not fields or (role and last == "subject"):
            break
        elif not unquoted(line).strip():
            # Some programs put a blank line between fields, but not after the subject.
            following = _field(lines[index + 1])[0] if index + 1 < len(lines) else ""
            if not following or following in fields or "subject" in fields:
                break
        elif _continues(lines, index, fields):
            fields[last] = f"{fields[last]} {unquoted(line).strip()}".strip()
            end = index + 1
        else:
            break
        index += 1
    if "from" not in fields or len(fields) < least:
        return None
    return QuotedHeader(fields=fields, end=end, is_sent=is_sent)


def _field(line: str) -> tuple[str, str]:
    match = _LINE.match(line[:LONGEST_LINE])
    if not match:
        return "", ""
    role = _ROLES.get(" ".join(match[1].lower().split()), "")
    return role, line[match.end() :].strip().removesuffix("*").strip() if role else ""


def _label(line: str) -> str:
    match = _LINE.match(line[:LONGEST_LINE])
    return " ".join(match[1].lower().split()) if match else ""


def _continues(lines: Sequence[str], index: int, fields: dict[str, str]) -> bool:
    """Tell whether a line without a label belongs to the field above: a label must follow."""
    if _field(lines[index])[0]:
        return False
    following = [_field(line)[0] for line in lines[index + 1 : index + 3]]
    return any(role and role not in fields for role in following)


def split_joined_header(line: str) -> list[str]:
    """Split a header that a program wrote on one line (`From: a@example.orgTo: b@example.org`)."""
    pieces: list[str] = []
    position = 0
    roles: set[str] = set()
    for match in _JOINED.finditer(line[: LONGEST_LINE * 5]):
        role = _ROLES[match.group()[:-1].strip().lower()]
        if role in roles:
            continue
        pieces.append(line[position : match.start()])
        position = match.start()
        roles.add(role)
        if role == "subject":
            break
    pieces.append(line[position:])
    return [piece.strip() for piece in pieces if piece.strip()]


def is_programs_header(header: QuotedHeader) -> bool:
    """Tell whether a quoted header has two of subject, time and address, as mail programs write it.

    People write `From: Berlin`, `To: Paris`, `Date: 12 May, 14:30`, and a subject too: without an
    address in From, `Reply-To` or `Sent` all of the three are asked for.
    """
    fields = header.fields
    has_address = any(ADDRESS.search(fields.get(role, "")) for role in _ADDRESS_ROLES)
    has_time = CLOCK.search(fields.get("date", "")) is not None
    evidence = sum((has_address, has_time, "subject" in fields))
    is_mails = header.is_sent or "reply-to" in fields or ADDRESS.search(fields["from"]) is not None
    return evidence >= LEAST_EVIDENCE + (not is_mails)
