"""`inspect` for people: short, complete about what is missing, harmless to the terminal."""

from mailrouting.testing import make_message, reply_to


def test_what_cannot_be_read_is_trouble(run, tmp_path):
    """Without --json it is said on standard error, the others are shown, and the status is 1."""
    path = tmp_path / "a.eml"
    path.write_bytes(make_message(subject="Printer on fire"))
    result = run("inspect", str(tmp_path / "none"), str(path))
    assert result.exit_code == 1
    assert f"mailrouting: {tmp_path / 'none'}: No such file or directory" in result.stderr
    assert "Printer on fire" in result.stdout
    assert "none" not in result.stdout


def test_cut_text_says_how_much_is_missing(run, tmp_path):
    """Lines and characters that are left out are counted."""
    path = tmp_path / "a.eml"
    text = "".join(f"line {number}\n" for number in range(1, 62))
    path.write_bytes(make_message(text=f"{'x' * 950}\n{text}"))
    shown = run("inspect", str(path)).stdout
    assert "line 20" in shown
    assert "line 21" not in shown
    assert "… 41 more lines" in shown
    assert "… 550 more characters" in shown


def test_a_reply_is_shown_by_its_parts(run, tmp_path):
    """What is visible, quoted and signed stands apart, each in few lines."""
    path = tmp_path / "a.eml"
    path.write_bytes(reply_to(make_message(text="It burns.\n"), text="Still so.\n-- \nCarla\n"))
    shown = run("inspect", str(path)).stdout
    assert "   reply visible  Still so." in shown
    assert " reply signature  " in shown
    assert '{"visible"' not in shown


def test_a_mail_does_not_steer_the_terminal(run, tmp_path):
    """Control and direction characters are shown as escapes; other scripts stay."""
    path = tmp_path / "a.eml"
    hostile = "red \x1b[31m \x9b2J \u202eexe.fdp\u2066 プリンター\u200d\n"
    path.write_bytes(make_message(subject="a", text=hostile))
    shown = run("inspect", str(path)).stdout
    assert r"red \x1b[31m \x9b2J \u202eexe.fdp\u2066 プリンター" in shown
    for character in "\x1b\x9b\u202e\u2066":
        assert character not in shown
    assert "\u200d" in shown


def test_a_large_file_is_read_as_a_small_one(run, tmp_path):
    """A file of megabytes is shown with all of its attachments."""
    path = tmp_path / "a.eml"
    body = b"\r\n".join([b"QUJD" * 19] * 20_000)
    path.write_bytes(
        b"From: a@x.org\r\nSubject: large\r\nContent-Type: application/pdf; name=plan.pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + body
    )
    result = run("inspect", str(path))
    assert result.exit_code == 0
    assert "large" in result.stdout
    assert "plan.pdf" in result.stdout
    assert "1140000" in result.stdout.replace(" ", "").replace(",", "")
