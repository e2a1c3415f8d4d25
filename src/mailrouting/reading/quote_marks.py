"""Recognise where earlier mail begins in a text: headers, markers and attributions of mail programs.

Per line, a bounded stretch of it, with patterns that cannot run away. What is not recognised
stays visible: a quote too many costs a reader a second, a hidden answer costs the customer.
"""

import re
from collections.abc import Iterator, Sequence

import attrs

__all__ = [
    "QuotedHeader",
    "attribution_length",
    "has_forward_subject",
    "introduces",
    "is_forward_marker",
    "is_original_marker",
    "is_programs_attribution",
    "is_programs_header",
    "is_rule",
    "may_begin",
    "read_quoted_header",
    "split_joined_header",
    "unquoted",
]

LONGEST_LINE = 400
_MOST_HEADER_LINES = 24
_LEAST_LABELS = 3
_MOST_ATTRIBUTION_LINES = 6

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

_FORWARDED = (
    "forwarded message(?: from .{1,200})?|start of forwarded message|forwarded by .{1,80}|weitergeleitet von .{1,80}|begin forwarded message|forwarded|weitergeleitete nachricht|anfang der weitergeleiteten nachricht"
    "|weitergeleitete mail|message transféré|message transmis|début du message transféré|début du message réexpédié|mensaje reenviado"
    "|inicio del mensaje reenviado|messaggio inoltrato|inizio messaggio inoltrato|mensagem encaminhada"
    "|mensagem reencaminhada|início da mensagem (?:encaminhada|reencaminhada)|doorgestuurd bericht"
    "|begin doorgestuurd bericht|videresendt (?:meddelelse|melding|besked)|start på videresendt besked"
    "|videresendt e-post|vidarebefordrat (?:meddelande|mejl|brev)|vidarebefordrat mail|välitetty viesti|edelleenlähetetty viesti|välitetty viesti alkaa"
    "|przekazana wiadomość|wiadomość przesłana dalej|treść przekazanej wiadomości|początek przekazywanej wiadomości|przeposlaná zpráva|přeposlaná zpráva"
    "|začátek přeposílané zprávy|začátek přeposlané zprávy|preposlaná správa|začiatok preposlanej správy|továbbított (?:üzenet|levél)|továbbított levél kezdete"
    "|mesaj redirecționat|mesaj redirecţionat|început mesaj redirecționat|începutul mesajului redirecționat|începe mesajul redirecționat|iletilmiş mesaj|iletilen ileti|ileti başlangıcı|i̇letilmiş mesaj|i̇leti başlangıcı|yönlendirilen ileti"
    "|пересылаемое сообщение|пересланное сообщение|начало переадресованного сообщения|перенаправленное сообщение|перенаправлене повідомлення|переслане повідомлення|початок листа, що пересилається"
    "|початок переспрямованого повідомлення|proslijeđena poruka|započni proslijeđenu poruku|posredovano sporočilo|转发的邮件|转发邮件|开始转发邮件|转发邮件信息|轉寄的郵件|轉寄郵件|転送されたメッセージ|メッセージを転送|転送メッセージ|전달된 메시지(?: 시작)?|개시된 메시지"
)
_ORIGINAL = (
    "original message|original appointment|reply message|ursprüngliche nachricht|originalnachricht|message d'origine|message original|mensaje original"
    "|messaggio originale|mensagem original|oorspronkelijk bericht|oprindelig meddelelse|opprinnelig melding|ursprungligt meddelande|originalmeddelande"
    "|alkuperäinen viesti|wiadomość oryginalna|původní zpráva|pôvodná správa|eredeti üzenet|mesaj original|orijinal mesaj|özgün ileti"
    "|исходное сообщение|оригинальное сообщение|вихідне повідомлення|原始邮件|原始郵件|元のメッセージ|원본 메시지|original email"
)
_FORWARD_MARKER = re.compile(
    rf"[\s>*\ufeff]{{0,12}}(?:[-—_=]{{2,60}}\s{{0,2}}(?:{_FORWARDED})\s?:?\s{{0,2}}[-—_=]{{2,60}}|(?:{_FORWARDED})\s?[:：]\s{{0,9}}$)",
    re.IGNORECASE,
)
_ORIGINAL_MARKER = re.compile(
    rf"[\s>*\ufeff]{{0,12}}[-—_=]{{2,60}}\s?(?:{_ORIGINAL})\s?:?\s?[-—_=]{{2,60}}[\s*]{{0,9}}",
    re.IGNORECASE,
)
# All markers and rules begin with one of these, or end in a colon.
_SHORTEST_MARK = 5
_MARK = re.compile(r"[\s>*\ufeff]*+[-—_=\d]")
_RULE = re.compile(r"[\s>]{0,12}(?:_{5,200}|-{20,200}|={20,200})\s{0,9}")
_FORWARD_SUBJECT = re.compile(
    r"\s{0,5}(?:\[[^\]]{0,60}\]\s{0,3})?(?:fwd?|wg|tr|rv|enc|i|pd|vs|vb|doorst|ilt|yml|fs|továbbítás|转发|轉寄|転送)\s{0,2}[:：]",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:wrote|writes|schrieb|schreef|a écrit|escribió|ha scritto|escreveu|skrev|kirjoitti|napisał(?:\(a\)|a)?|napsala?(?:\(a\))?"
    r"|napísala?|írta|a scris|yazdı|написала?|написав|пише|пишет|wrote the following|έγραψε|viết|je napisao|je napisala|ezt írta|geschrieben|skrev følgende"
    r"|pisze)\b|写道|寫道|のメール|님이 작성|כתב",
    re.IGNORECASE,
)
_STRONG = re.compile(r"<mailto|\b\d{1,2}[:.h]\d{2}\b|\b(?:19|20)\d\d\b|年")
_CLOCK = re.compile(r"\b\d{1,2}(?:[:.h]\d{2}|\s?[ap]\.?m\b)|[时時点시]", re.IGNORECASE)
_DAY = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2}\b|[年년]")
_ADDRESS = re.compile(r"@[^\s@<>]{1,255}\.[^\s@<>]{2}")
_ADDRESS_ROLES = ("from", "to", "cc", "reply-to")
_LEAST_EVIDENCE = 2
_TELLS_WHO = re.compile(r"[@\d]")
# Who writes about letters says I and you; a mail program names people.
_PRONOUN = re.compile(
    r"\bI\b(?![.'])|\b(?:we|you|your|our|my|ich|wir|je|nous|vous|yo|usted|ik|jag|jeg)\b"
    r"|^\s{0,9}(?:We|You|Your|Our|My|Ihre?|Unsere?|Mein|Votre|Notre|Su|Il tuo|Uw)\b"
)
_WITH_MARK = re.compile(r"\S*@\S*")
_DASHED = re.compile(r"\s{0,4}-{2,6}\s(.{10,300}?)\s-{2,6}\s{0,4}")
_ENDS_SENTENCE = re.compile(r"[^\W\d_]{2}[.!?]$")
# A sentence that ends within is no attribution; names and months have shorter abbreviations.
_SENTENCE_END = re.compile(r"[.!?](?<=[^\W\d_]{5}.)(?:\s+[^\W\d_]|\s*$)")
_SENTENCE_WITHIN = re.compile(r"[.!?](?<=[^\W\d_]{5}.)\s+[^\W\d_]")
_BEGIN = re.compile(
    r"[\s>*\ufeff]{0,12}(?:(?:on|at|am|le|el|il|em|den|d\.|op|dne|dnia|w dniu|pe|στις|vào|u|dana|ons?dag|il giorno|tarihinde)\b|在|于|\d{1,4}[-/. 年]"
    r"|[^<>]{1,80}<[^<>\s]{1,320}@)",
    re.IGNORECASE,
)
# With seconds it is the line of a log.
_DATE_AND_NAME = re.compile(
    r"[\s\ufeff]{0,9}\d{4}[-/]\d{1,2}[-/]\d{1,2} (?!\d{1,2}:\d\d:)(?:[^<>]{1,120}<[^<>\s@]{1,120}@[^<>\s@]{1,255}\.[^<>\s@.]{2,63}>|\d{1,2}:\d\d GMT[+-]\d\d:\d\d .{1,120})\s{0,9}:?\s{0,9}"
)
_QUOTE = re.compile(r"[ \t]{0,4}[>|]\s?")


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


def may_begin(lines: Sequence[str]) -> tuple[set[int], set[int]]:
    """Return the lines where earlier mail may begin: on all others the exact rules find nothing.

    Returns:
        The lines that a marker, a quoted header or an attribution may begin on; and those that
        only an attribution may begin on, because it would end in a colon some lines below.
    """
    colons = [index for index, line in enumerate(lines) if ":" in line or "：" in line]
    above = {index for colon in colons for index in _may_lead_to(lines, colon)}
    # What begins with a letter, quoted or not, begins with no mark.
    marks = [
        index
        for index, line in enumerate(lines)
        if not line[:1].isalpha()
        and len(line) >= _SHORTEST_MARK
        and not line.lstrip("> ")[:1].isalpha()
        and _MARK.match(line)
    ]
    return {*colons, *marks}, above


def _may_lead_to(lines: Sequence[str], colon: int) -> Iterator[int]:
    """Yield the lines above, on which an attribution may begin that ends here."""
    for index in range(colon - 1, max(colon - _MOST_ATTRIBUTION_LINES, -1), -1):
        yield index
        # A blank line ends an attribution, unless it is its second or stands behind a bracket.
        if not lines[index + 1].strip() and _ends_without_bracket(lines[index]):
            return


def _ends_without_bracket(line: str) -> bool:
    return "<" not in line and ">" not in line and len(line) <= LONGEST_LINE and bool(line.strip())


def is_forward_marker(line: str) -> int:
    """Return where the marker of a forwarded mail ends in a line; 0 when there is none."""
    if ":" not in line and "：" not in line and not _MARK.match(line):
        return 0
    match = _FORWARD_MARKER.match(line[:LONGEST_LINE])
    return match.end() if match else 0


def is_original_marker(line: str) -> bool:
    """Tell whether a line says `-----Original Message-----` in some language."""
    return _ORIGINAL_MARKER.fullmatch(line[:LONGEST_LINE]) is not None


def is_rule(line: str) -> bool:
    """Tell whether a line is the rule that Outlook draws above a quoted header."""
    return _RULE.fullmatch(line[:LONGEST_LINE]) is not None


def has_forward_subject(subject: str) -> bool:
    """Tell whether a subject begins with `Fwd:` in some language."""
    return _FORWARD_SUBJECT.match(subject[:LONGEST_LINE]) is not None


def attribution_length(lines: Sequence[str], start: int) -> int:
    """Return over how many lines `On Monday Ann wrote:` stands from a line on; 0 for none."""
    first = lines[start][:LONGEST_LINE]
    if not first.strip():
        return 0
    if not first[:1].isalpha() and _DATE_AND_NAME.fullmatch(first):
        return 1
    dashed = _DASHED.fullmatch(first)
    if dashed and _has_verb(dashed[1]) and _STRONG.search(dashed[1]):
        return 1  # Zoho: `---- On Mon, 2 Mar 2026 ... wrote ---`
    joined = first
    length = 1
    while True:
        if (
            _ends_in_colon(joined)
            and len(joined) <= LONGEST_LINE
            and (
                _has_verb(joined)
                or (_is_address_and_date(joined) and _quote_follows(lines, start + length))
            )
        ):
            is_strong = (
                "@" in joined or _STRONG.search(joined) or _quote_follows(lines, start + length)
            )
            return length if is_strong and not _holds_sentence(lines[start : start + length]) else 0
        if length == 1 and not _BEGIN.match(first):
            return 0
        index = start + length
        if length >= _MOST_ATTRIBUTION_LINES or index >= len(lines):
            return 0
        if length > 1 and not lines[index].strip() and not joined.rstrip().endswith(("<", ">")):
            return 0
        joined = f"{joined} {unquoted(lines[index][:LONGEST_LINE]).strip()}"
        length += 1


def is_programs_attribution(lines: Sequence[str]) -> bool:
    """Tell whether an attribution has two of day, time and address, as mail programs write it.

    People write `In 2023 Mr. Smith wrote:` above words of their own.
    """
    text = " ".join(line[:LONGEST_LINE] for line in lines)
    if sum(one.search(text) is not None for one in (_CLOCK, _DAY, _ADDRESS)) < _LEAST_EVIDENCE:
        return False
    if _PRONOUN.search(_WITH_MARK.sub(" ", text)):
        return False
    return not any(_ENDS_SENTENCE.search(line[:LONGEST_LINE].rstrip()) for line in lines[:-1])


def is_programs_header(header: QuotedHeader) -> bool:
    """Tell whether a quoted header has two of subject, time and address, as mail programs write it.

    People write `From: Berlin`, `To: Paris`, `Date: 12 May, 14:30`, and a subject too: without an
    address in From, `Reply-To` or `Sent` all of the three are asked for.
    """
    fields = header.fields
    has_address = any(_ADDRESS.search(fields.get(role, "")) for role in _ADDRESS_ROLES)
    has_time = _CLOCK.search(fields.get("date", "")) is not None
    evidence = sum((has_address, has_time, "subject" in fields))
    is_mails = header.is_sent or "reply-to" in fields or _ADDRESS.search(fields["from"]) is not None
    return evidence >= _LEAST_EVIDENCE + (not is_mails)


def introduces(line: str) -> bool:
    """Tell whether a person announces what stands below: `My config is:`."""
    return _ends_in_colon(line) and not _has_verb(line) and not _TELLS_WHO.search(line)


def _holds_sentence(lines: Sequence[str]) -> bool:
    *above, last = (line[:LONGEST_LINE].rstrip() for line in lines)
    return any(map(_SENTENCE_END.search, above)) or _SENTENCE_WITHIN.search(last) is not None


def _is_address_and_date(text: str) -> bool:
    """Tell whether a text is an attribution in whatever language; above a quote it is one."""
    return all(one.search(text) for one in (_ADDRESS, _CLOCK, _DAY))


def _has_verb(text: str) -> bool:
    return " wrote:" in text or _VERB.search(text) is not None


def _ends_in_colon(text: str) -> bool:
    return text.rstrip(" \t\xa0>\u200e\u200f").endswith((":", "："))


def _quote_follows(lines: Sequence[str], index: int) -> bool:
    for line in lines[index : index + 3]:
        if line.strip():
            return line.lstrip().startswith(">")
    return False


def unquoted(line: str) -> str:
    """Return a line without one level of `> `."""
    match = _QUOTE.match(line)
    return line[match.end() :] if match else line
