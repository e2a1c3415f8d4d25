"""The reply view and forwarded mail."""

import pytest

from mailrouting.reading import HeaderAddress, ReadingLimits, SpanKind, read


def message_of(text: str, *, subject: str = "Re: Printer", **options):
    """Read a mail with a text."""
    head = f"From: ann@example.org\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8"
    return read(head.encode() + b"\r\n\r\n" + text.encode(), **options)


def view(text: str):
    """Return the reply view of a text."""
    return message_of(text).reply


QUOTE = "\n> What is wrong?\n> Support\n"


@pytest.mark.parametrize(
    "attribution",
    [
        "On Mon, Mar 2, 2026 at 9:00 AM Support <help@example.org> wrote:",
        "On Mon, Mar 2, 2026 at 9:00 AM Support <\nhelp@example.org> wrote:",
        "Am 02.03.2026 um 09:00 schrieb Support:",
        "Support <help@example.org> schrieb am Mo., 2.\nMärz 2026 um 09:00:",
        "Le 2 mars 2026 à 09:00, Support <help@example.org> a écrit :",
        'Le 2 mars 2026 09:00, "Support"\n<help@example.org>\na écrit :',
        "El lun, 2 mar 2026 a las 9:00, Support (<help@example.org>) escribió:",
        "Il giorno lun 2 mar 2026 alle ore 09:00 Support ha scritto:",
        "Em 2 de março de 2026 09:00, Support escreveu:",
        "Op ma 2 mrt. 2026 om 09:00 schreef Support <help@example.org>:",
        "Den 2. mars 2026 kl. 09.00 skrev Support <help@example.org>:",
        "pon., 2 mar 2026 o 09:00 Support <help@example.org> napisał(a):",
        "пн, 2 мар. 2026 г. в 09:00, Support <help@example.org> пишет:",
        "Support <help@example.org> kirjoitti 2.3.2026 kello 9.00:",
        "在 2026年3月2日，09:00，Support <help@example.org> 写道：",
        "2026-03-02 9:00 GMT+01:00 Support",
        "2026年3月2日(月) 9:00 Support <help@example.org>:",
        "пн, 2 мар. 2026 г. в 09:00, Support <help@example.org>:",
        "2026년 3월 2일 (월) 오전 9:00, Support <help@example.org>님이 작성:",
        "2026-03-02 Support <help@example.org>:",
        "На пн, 2.03.2026 г. в 9:00 Support <help@example.org> написа:",
        "2026-03-02, pr, 09:00 Support <help@example.org> rašė:",
        "---- On Mon, 02 Mar 2026 09:00:00 +0100 help@example.org wrote ---",
        "De: Support\nEnviada em: segunda-feira, 2 de março de 2026 09:00\nPara: Ann\nAssunto: x",
        "-----Original Message-----",
        "----- Ursprüngliche Nachricht -----",
    ],
)
def test_what_stands_below_an_attribution_is_quoted(attribution):
    """Programs in many languages say who wrote what is below."""
    reply = view(f"It is on fire.\n\n{attribution}\n{QUOTE}")
    assert reply.visible == "It is on fire."
    assert reply.quoted.startswith(attribution[:10])
    assert reply.quoted.endswith("> Support")


def test_quote_without_marks_goes_to_the_end():
    """Outlook marks no line: all below its header is the quote."""
    reply = view(
        "Thanks!\n\nFrom: Support <help@example.org>\nSent: Monday, March 2, 2026 9:00\n"
        "To: Ann <ann@example.org>\nSubject: Printer\n\nIs it on fire?\n\nSupport\n"
    )
    assert reply.visible == "Thanks!"
    assert reply.quoted.endswith("Support")


def test_rule_above_an_outlook_header_belongs_to_the_quote():
    """The line that Outlook draws is not the sender's."""
    reply = view(
        "Yes\n________________________________\nVon: A\nGesendet: heute\nAn: B\nBetreff: C\n\nx"
    )
    assert reply.visible == "Yes"


def test_inline_answers_stay_visible():
    """Between quoted lines behind an attribution every other line is shown."""
    reply = view(
        "On Mon, Mar 2, 2026 at 9:00 Support wrote:\n"
        "> Which printer?\nThe red one.\n> Since when?\nToday.\n"
    )
    assert reply.visible == "The red one.\nToday."
    assert (
        "> Since when?"
        in view("Hi\n\nOn Mon, Mar 2, 2026 at 9:00 S wrote:\n> Since when?\n").quoted
    )


def test_answer_below_the_quote_stays_visible():
    """Who answers below the quote is heard."""
    reply = view(
        "On Mon, Mar 2, 2026 at 9:00 Support wrote:\n> Which?\n> Support\n\nThe red one.\n"
    )
    assert reply.visible == "The red one."


def test_quote_at_the_end_without_attribution_is_quoted():
    """A block of `>` that nobody answers below is a quote."""
    assert view("The red one.\n\n> Which printer?\n").quoted == "> Which printer?"


def test_quote_that_is_answered_stays_as_context():
    """A bare quote above the answer belongs to the answer."""
    assert view("> Which?\n\nThe red one.").visible == "> Which?\n\nThe red one."


@pytest.mark.parametrize(
    "text",
    [
        "On Friday I will be back.\nThen we can talk.",
        "On this day\n\nI wrote something: see below.",
        "From: there it is far.\nTo: here it is near.",
        "I like this:\nit works.",
        "Am Freitag komme ich.\n\nBis dann",
        "Two things -- one is this.",
        "Wir schrieben:\nnichts",
    ],
)
def test_ordinary_sentences_are_not_quotes(text):
    """What only begins like an attribution is visible."""
    assert view(text).visible == text


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nAnn\nACME",
        "--\nAnn",
        "Sent from my iPhone",
        "Von meinem Mobilgerät gesendet",
        "Get Outlook for iOS",
        "____\n-- \nAnn",
    ],
)
def test_signature_is_told_apart(signature):
    """A signature is what stands behind its mark, or the line that a device adds."""
    reply = view(f"It is on fire.\n\n{signature}\n")
    assert reply.visible == "It is on fire."
    assert reply.signature == signature


def test_signature_above_the_quote_is_found():
    """A signature between reply and quote is a signature."""
    reply = view(f"Yes.\n-- \nAnn\n\nOn Mon, Mar 2, 2026 at 9:00 Support wrote:\n{QUOTE}")
    assert (reply.visible, reply.signature) == ("Yes.", "-- \nAnn")


def test_text_of_a_mail_that_is_only_forwarded_is_visible():
    """Where nothing stands above the forwarded mail, its text is what there is."""
    reply = view("---------- Forwarded message ---------\nFrom: B <b@x.org>\nSubject: x\n\nHello\n")
    assert reply.visible == "Hello"


@pytest.mark.parametrize(
    "above",
    [
        "On Mon, Mar 2, 2026 at 9:00 AM Support <help@example.org> wrote:",
        "-----Original Message-----",
    ],
)
def test_answers_in_a_quote_without_marks_are_visible(above):
    """Where nothing stands above a quote that has lost its marks, the answers stand in it."""
    assert view(f"{above}\n\nWhich printer?\n\nThe red one.\n").visible.endswith("The red one.")


def test_what_a_person_announces_is_no_quote():
    """Lines with `>` at the end, below words that announce them, are shown."""
    text = "My settings are:\n\n> a = 1\n> b = 2\n"
    assert view(text).visible == text.strip()
    assert view(text.replace("are:", "are here")).quoted == "> a = 1\n> b = 2"


@pytest.mark.parametrize(
    "text", ["", "\n", "> \n", "a", "On 1 Jan 2026 x wrote:", "-- \n", "\n-- \nA"]
)
def test_spans_cover_the_whole_text(text):
    """The spans adjoin from the first to the last character."""
    reply = view(text)
    assert "".join(reply.text[span.start : span.end] for span in reply.spans) == text
    assert [span.start for span in reply.spans[1:]] == [span.end for span in reply.spans[:-1]]


def test_beyond_its_limit_the_text_is_visible():
    """What the view does not look at is never hidden."""
    message = message_of("Yes\n> quote\n" + "tail\n" * 10, limits=ReadingLimits(text=12))
    assert message.reply.visible.endswith("tail")
    assert message.reply.spans[-1].kind is SpanKind.VISIBLE
    assert "text-limit" in message.defects


HEADER = """From: Bob Roe <bob@example.com>
Date: Mon, 2 Mar 2026 09:00
Subject: Printer
To: <ann@example.org>
Cc: Carl <carl@example.com>, d@example.com

It is on fire.

Bob"""


@pytest.mark.parametrize(
    "text",
    [
        "---------- Forwarded message ---------\n" + HEADER,
        "---------- Weitergeleitete Nachricht ---------\n"
        + HEADER.replace("From:", "Von:").replace("Subject:", "Betreff:").replace("To:", "An:"),
        "> Begin forwarded message:\n>\n" + "\n".join(f"> {line}" for line in HEADER.split("\n")),
        "-------- Forwarded Message --------\n" + HEADER.replace(": ", ": \t"),
        "----- Forwarded Message ----- "
        + HEADER.replace("\nDate", "Date")
        .replace("\nSub", "Sub")
        .replace("\nTo", "To")
        .replace("\nCc", "Cc")
        .replace("Subject: Printer", "")
        .replace("d@example.com\n", "d@example.comSubject: Printer\n"),
        "---------- Forwarded message ---------\n"
        + HEADER.replace("<bob@example.com>", "<bob@example.com<mailto:bob@example.com>>"),
        "---------- Forwarded message ---------\n" + HEADER.replace(": Printer", ":\n Printer"),
    ],
)
def test_forwarded_mail_is_found_by_its_marker(text):
    """A marker and a header give who wrote what to whom, whatever the subject says."""
    forwarded = message_of("Please look.\n\n" + text, subject="Help").forwarded
    assert forwarded.from_ == HeaderAddress("Bob Roe", "bob@example.com")
    assert [one.address for one in forwarded.to] == ["ann@example.org"]
    assert [one.address for one in forwarded.cc] == ["carl@example.com", "d@example.com"]
    assert forwarded.subject == "Printer"
    assert "2026" in forwarded.date
    assert " ".join(forwarded.text.split()) == "It is on fire. Bob"
    assert forwarded.comment == "Please look."


@pytest.mark.parametrize(
    "above", ["", "________________________________\n", "-----Original Message-----\n"]
)
def test_outlook_forwards_are_known_by_the_subject(above):
    """A bare header counts when the subject says that the mail was forwarded."""
    forwarded = message_of("See below\n\n" + above + HEADER, subject="WG: Printer").forwarded
    assert forwarded.from_.address == "bob@example.com"
    assert forwarded.comment == "See below"
    assert message_of("See below\n\n" + above + HEADER, subject="Re: Printer").forwarded is None


def test_attribution_in_a_forward_names_the_writer():
    """Some programs forward with an attribution only."""
    forwarded = message_of(
        'On 02/03/2026 09:00, "Bob Roe" <bob@example.com> wrote:\n\n    It is on fire.\n',
        subject="Fwd: Printer",
    ).forwarded
    assert forwarded.from_ == HeaderAddress("Bob Roe", "bob@example.com")
    assert (forwarded.subject, forwarded.text.strip()) == ("Printer", "It is on fire.")


def test_name_without_address_is_a_name():
    """Programs show names where they know them."""
    text = "-----Original Message-----\nFrom: Bob Roe\nSent: today\nTo: Ann\nSubject: x\n\ny"
    forwarded = message_of(text, subject="FW: x").forwarded
    assert forwarded.from_ == HeaderAddress("Bob Roe", "")
    assert forwarded.to == (HeaderAddress("Ann", ""),)


@pytest.mark.parametrize(
    "text", ["---------- Forwarded message ---------\n\nno header", "no mark", "Forwarded message:"]
)
def test_marker_without_header_is_no_forward(text):
    """Without a header there is nobody who wrote it."""
    assert message_of(text, subject="Fwd: x").forwarded is None


@pytest.mark.parametrize(
    "text",
    [
        "I need a ticket.\n\nFrom: Berlin\nTo: Paris\nDate: 12 May\n\nWindow seat.",
        "I need a ticket.\n\nFrom: Berlin\nTo: Paris\nDate: 12 May, 14:30\n\nWindow seat.",
        "I need a ticket.\n____________________\nFrom: Berlin\nTo: Paris\nDate: 12 May\n\nWindow seat.",
        "in 2023 Mr. Smith wrote:\nthe printer is on fire.\nI agree.",
        "In May 2023 Ann wrote:\nIt works.\nIt does not.",
        "At 10:30 the technician wrote:\nit works.\nIt does not.",
        "On Friday 3/2/2026 it crashed again.\nAt 10:30 Ann wrote:\nit works.\nIt does not.",
        "2026-03-02 Error <E1234>\n2026-03-03 again",
        "Forwarded:\nnothing yet, please do it.",
        "Part one.\n--\nThen the second part goes on, and it is long.",
        "Part one.\n--\nplease restart the server",
        "Part one.\n-- \nPart two, which goes on.\n-- \nPart three is here too, and it asks: why?",
        "Part one.\n—\nDo you see it?",
        "My details:\nFrom: ann@x.org\nTo: bob@x.org\nDate: 12 May\n\nPlease check.",
        "Am Montag, 2. März 2026 um 9:00 Uhr rief ich an.\nHerr Meier schrieb:\nEs geht nicht.",
        "2026-03-02 09:00 Error in <module@host>:\nstack\nPlease help.",
        "The user ann@x.org wrote:\nit is broken.\nIs it?",
        "Customer Ann <ann@x.org> wrote:\nit is broken.\nIs it?",
        "Seen on 2/3/2026 at 9:00 by Ann <ann@x.org>:\nit smokes.\nAnd it stinks.",
        "My flight:\n\nFrom: Oslo\nTo: Rome\nDate: 2 March 2026, 14:30\nSubject: seat\n\nWindow, please.",
        "____________________\nFrom: Oslo\nTo: Rome\nDate: 2 March 2026\nSubject: seat\n\nWindow, please.",
        "On 2 March 2026 at 9:00 I wrote to help@desk.example:\nit burns.\nNobody came.",
        "Am 2. März 2026 um 9:00 schrieb ich an help@desk.example:\nes brennt.\nNiemand kam.",
        "Your agent wrote on 03/02/2026 at 9:30 am:\nwe will call.\nNobody called.",
        "In the log:\n2026-03-02 09:00:00 Bob <bob@x.org>:\nlogin failed\nWhat now?",
    ],
)
def test_own_words_that_look_like_a_mail_programs_stay_visible(text):
    """Ambiguous evidence hides nothing: only what programs write begins a quote or a signature."""
    reply = view(text)
    shown = reply.visible.splitlines()
    assert [line for line in text.splitlines() if line not in shown and line[:1] != ">"] == []


@pytest.mark.parametrize(
    "text",
    [
        "-----Original Message-----\nFrom: A <a@x.org>\nSubject: Printer\n\n> Which?\n\nThe red one.",
        "Hi\n\nFrom: A <a@x.org>\nTo: b@x.org\nSubject: Printer\n\n> Which?\n\nThe red one.",
        "Hi\n\nOn Mon, Mar 2, 2026 at 9:00 A wrote:\n> Which one do you mean? We have a red one and a blue one here\nRed.\n> And since when?",
        "Hi\n\nOn Mon, Mar 2, 2026 at 9:00 A wrote:\n> Tell us whether it is the red one or the blue one that makes the noise\nyes\n> and since when it does so",
    ],
)  # fmt: skip
def test_answer_behind_a_marked_quote_is_visible(text):
    """Where `>` marks the quote, no other line is hidden, below a header too."""
    visible = view(text).visible
    assert [line for line in ("The red one.", "Red.", "yes") if line in text.splitlines()] == [
        line for line in visible.splitlines() if line in ("The red one.", "Red.", "yes")
    ]


def test_torn_end_of_a_quoted_line_is_quoted():
    """A program that wraps quotes leaves a few words without a mark."""
    reply = view(
        "Yes\n\nOn Mon, Mar 2, 2026 at 9:00 A wrote:\n"
        "> The printer on the third floor smokes whenever somebody prints the long\nreports\n"
        "> that come from accounting\n"
    )
    assert reply.visible == "Yes"


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my Samsung Galaxy smartphone.", "Sent from my Verizon, Samsung Galaxy smartphone", "Sent from Yahoo Mail on Android",
        "Sent via the Samsung Galaxy S7, an AT&T 4G LTE smartphone", "Sent from Mail<https://go.example/?id=5> for Windows 10",
        "Get Outlook for iOS<https://aka.example/o0ukef>", "Outlook für iOS beziehen", "Télécharger Outlook pour Android",
        "Von meinem iPhone gesendet", "Gesendet mit der GMX Mail App", "Envoyé de mon iPhone", "Enviado desde mi iPhone",
        "Enviado do meu iPhone", "Inviato da iPhone", "Verzonden vanaf mijn iPhone", "Sendt fra min iPhone", "Skickat från min iPhone",
        "Lähetetty iPhonesta", "Wysłane z iPhone'a", "Отправлено с iPhone", "发自我的iPhone", "iPhoneから送信", "iPhone'umdan gönderildi",
        "Sent from my phone, please excuse typos", "(Sent from my iPhone)", "Sent with Proton Mail secure email.",
    ],
)  # fmt: skip
def test_footers_of_mail_programs_are_a_signature(line):
    """What a device or program adds below is no word of the sender's."""
    reply = view(f"It is on fire.\n\n{line}\n")
    assert (reply.visible, reply.signature) == ("It is on fire.", line)


@pytest.mark.parametrize(
    "line",
    [
        "Get Outlook running again, please", "Get Outlook for all of us", "Get Outlook for Mac working again today", "Sent from the warehouse on Friday",
        "Sent from the warehouse by mobile crane", "Sent by post yesterday", "Sent from my desk at home", "Sent via DHL",
        "From my iPhone I cannot open the app", "Sent from my phone this morning", "Sent from Outlook to the printer, nothing came",
        "Sent from my iPhone. Call me back", "Sent from my phone because the printer is down", "Enviado desde la oficina",
        "Min telefon virker ikke", "Gesendet von Berlin aus", "Outlook für alle ist kaputt", "Von meinem Chef gesendet wurde nichts",
    ],
)  # fmt: skip
def test_sentences_that_begin_like_a_footer_stay_visible(line):
    """Only the footers of programs are taken for one."""
    assert view(f"It is on fire.\n\n{line}\n").visible.endswith(line)


def test_last_of_several_marks_begins_the_signature():
    """What stands between two marks may be a second part: it stays."""
    reply = view("One.\n-- \nTwo, and it goes on.\n-- \nAnn Lee\nACME\n")
    assert (reply.visible, reply.signature) == (
        "One.\n-- \nTwo, and it goes on.",
        "-- \nAnn Lee\nACME",
    )


@pytest.mark.parametrize(
    "signature",
    ["--\nHead of Support\nACME Ltd.", "--\nann", "__\nAnn Lee, tel. +49 30 1234567\nann@x.org"],
)
def test_mark_without_its_space_needs_a_short_signature(signature):
    """Names, titles and ways to reach somebody are a signature behind `--` too."""
    assert view(f"It is on fire.\n\n{signature}").signature == signature


@pytest.mark.parametrize(
    "attribution",
    [
        "пн, 2 мар. 2026 г. в 09:00, Support <help@example.org>:",
        "пн, 2 мар. 2026 г. в 09:00, Support <\nhelp@example.org>:",
        "2 марта 2026 г., 09:00 от Support <help@example.org>:",
        "Понедельник, 2 марта 2026, 9:00 +03:00 от Support <help@example.org>:",
        "2026年3月2日(月) 9:00 Support <help@example.org>:",
        "2026年3月2日(月) 午前9時00分 Support <help@example.org>:",
        (
            "\u202bבתאריך יום ב׳, 2 במרץ 2026 ב-9:00 מאת \u202aSupport\u202c\u200f "
            "<\u202ahelp@example.org\u202c\u200f>:\u202c"
        ),
        "בתאריך 2 במרץ 2026 בשעה 09:00, \u200fSupport <help@example.org>:",
        "في الاثنين، 2 مارس 2026 في 9:00 ص تمت كتابة ما يلي بواسطة Support <help@example.org>:",
        "في ٢ مارس ٢٠٢٦، الساعة ٩:٠٠، Support <help@example.org>:",
        "في 2 مارس 2026 09:00، كتب Support:",
    ],
)
@pytest.mark.parametrize("below", [QUOTE, QUOTE.replace("> ", "")])
def test_attributions_without_a_verb_are_known(attribution, below):
    """Programs of four languages name a sender and a moment; marks below are not needed."""
    reply = view(f"It is on fire.\n\n{attribution}\n{below}")
    assert reply.visible == "It is on fire."
    assert reply.quoted.endswith("Support")


@pytest.mark.parametrize(
    "line",
    [
        "Ошибка от 2 марта 2026, 09:00 в журнале:",
        "2 марта 2026, 09:00 мы писали Support <help@example.org>, вот ответ:",
        "2026年3月2日(月) 9:00 の会議の議題:",
        "בתאריך 2 במרץ 2026 בשעה 09:00 קרה הדבר הבא:",
        "في 2 مارس 2026 09:00 حدث ما يلي:",
        "Meeting on 2 March 2026, 9:00 with Bob <bob@example.com>:",
    ],
)
def test_dates_of_people_begin_no_quote(line):
    """What a person announces with a date stays visible."""
    assert view(f"Hello.\n\n{line}\n\nIt broke.\n").quoted == ""


FORWARDS = {
    "Yandex": (
        '-------- Пересылаемое сообщение --------\n02.03.2026, 09:00, "Bob Roe" <bob@example.com>:\n\n'
        "It is on fire.\n\n-------- Конец пересылаемого сообщения --------\n"
    ),
    "Yandex in English": (
        '-------- Forwarded message --------\n02.03.2026, 09:00, "Bob Roe" <bob@example.com>:\n\n'
        "> It is on fire.\n\n-------- End of forwarded message --------\n\n-- \nAnn\n"
    ),
    "SquirrelMail": (
        "---------------------------- Original Message ----------------------------\nSubject: Printer\n"
        'From:    "Bob Roe" <bob@example.com>\nDate:    Mon, March 2, 2026 9:00 am\n'
        'To:      "Ann" <ann@example.org>\n'
        "--------------------------------------------------------------------------\n\nIt is on fire.\n"
    ),
    "an attribution": 'On 02/03/2026 09:00, "Bob Roe" <bob@example.com> wrote:\n\nIt is on fire.\n',
}


@pytest.mark.parametrize("program", FORWARDS)
@pytest.mark.parametrize("subject", ["Fwd: Printer", "[Fwd: Printer]", "Fwd: [Desk] Printer"])
def test_forwards_that_have_no_usual_header_are_read(program, subject):
    """Writer, date and text are found, whatever rules stand around them."""
    forwarded = message_of("Please look.\n\n" + FORWARDS[program], subject=subject).forwarded
    assert forwarded.from_ == HeaderAddress("Bob Roe", "bob@example.com")
    assert (forwarded.text, forwarded.comment) == ("It is on fire.", "Please look.")
    assert "2026" in forwarded.date
    own_subject = program == "SquirrelMail" or "Desk" not in subject
    assert forwarded.subject == ("Printer" if own_subject else "[Desk] Printer")


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("Bob <b@x.org> on behalf of Eve <e@x.org>", "Bob", "b@x.org"),
        ("Bob Roe im Auftrag von Eve <e@x.org>", "Eve", "e@x.org"),
        ("b@x.org [mailto:b@x.org] On Behalf Of Eve", "", "b@x.org"),
        ("Bob on behalf of Eve", "Bob", ""),
    ],
)
def test_of_two_writers_the_first_with_an_address_is_taken(written, name, address):
    """Outlook names who sent it and for whom, often one of them without an address."""
    text = f"---------- Forwarded message ---------\nFrom: {written}\nTo: a@x.org\n\ny"
    assert message_of(text).forwarded.from_ == HeaderAddress(name, address)


@pytest.mark.parametrize(
    ("marker", "label"),
    [
        ("----------  Forwarded Message  ----------", "From"),
        ("----- Forwarded message from Bob Roe <bob@example.com> -----", "From"),
        ("-------------------- Start of forwarded message --------------------", "From"),
        ("----- Weitergeleitet von Ann/ACME am 02.03.2026 09:00 -----", "Von"),
        ("-------- Перенаправленное сообщение --------", "От"),
        ("------------------ 转发邮件 ------------------", "发件人"),
        ("开始转发邮件：", "发件人"),
        ("전달된 메시지 시작:", "발신"),
        ("---------- Forwarded message ---------", "보낸사람"),
        ("---------- Forwarded message ---------", "Từ"),
        ("---------- Forwarded message ---------", "\u200fמאת"),
    ],
)
def test_markers_of_more_programs_are_known(marker, label):
    """Who wrote, the text and the comment above are found, and the comment alone is the reply."""
    text = f"Please help.\n\n{marker}\n\n{HEADER.replace('From', label)}"
    message = message_of(text, subject="Fwd: Printer")
    assert message.forwarded.from_ == HeaderAddress("Bob Roe", "bob@example.com")
    assert message.forwarded.text == "It is on fire.\n\nBob"
    assert message.forwarded.comment == message.reply.visible == "Please help."
