"""Secrets are hidden in every spelling."""

from __future__ import annotations

import base64
import json
import re
import shlex
import tracemalloc
import urllib.parse
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OttoLibrary.masking import Masker
from OttoLibrary.text import MASK

HARD = "p'a\"s <s>&\\ö$1"


def masker(*secrets: str) -> Masker:
    made = Masker()
    for secret in secrets:
        made.add(secret)
    return made


@pytest.mark.parametrize(
    "form",
    [
        HARD,
        shlex.quote(HARD),
        urllib.parse.quote(HARD, safe=""),
        escape(HARD),
        json.dumps(HARD)[1:-1],
        repr(HARD)[1:-1],
        base64.b64encode(HARD.encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_every_form(form: str) -> None:
    assert masker(HARD).mask(f"before {form} after") == f"before {MASK} after"


def test_a_short_secret_is_hidden_only_as_a_word() -> None:
    assert masker("ab").mask("ab cabin (ab)") == f"{MASK} cabin ({MASK})"


def test_the_longest_secret_wins() -> None:
    assert masker("secret", "secret-longer").mask("secret-longer secret") == f"{MASK} {MASK}"


def test_each_line_of_a_secret_is_hidden() -> None:
    assert masker("first line\nsecond line").mask("x second line y") == f"x {MASK} y"


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_hides_nothing(secret: str) -> None:
    assert masker(secret).mask("a b\nc") == "a b\nc"


@given(st.text(min_size=4), st.text(), st.text())
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    if secret.strip() and secret not in MASK:
        assert secret not in masker(secret).mask(before + secret + after).replace(MASK, "\0")


def lines_of(data: str, width: int) -> str:
    return "\n".join(data[at : at + width] for at in range(0, len(data), width))


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(data: str) -> str:
    whole = data[: len(data) // 4 * 4]
    return base64.urlsafe_b64decode(whole).decode("latin-1")


def pieces(text: str) -> set[str]:
    return {text[at : at + 3] for at in range(len(text) - 2)}


SPELLED = "s3cr/t <p>&'a\"ö$x`\\!"


@pytest.mark.parametrize(
    "form",
    [
        json.dumps(SPELLED, ensure_ascii=False)[1:-1],
        repr(SPELLED.encode())[2:-1],
        json.dumps(SPELLED)[1:-1].replace("/", "\\/"),
        json.dumps(SPELLED)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("'", "\\u0027"),
        json.dumps(SPELLED)[1:-1].replace("<", "\\u003C").replace(">", "\\u003E").replace("&", "\\u0026").replace("'", "\\u0027"),
        "".join(f"\\u{ord(letter):04x}" for letter in SPELLED),
        escape(SPELLED, quote=False),
        escape(SPELLED).replace("&#x27;", "&#39;"),
        escape(SPELLED).replace("&#x27;", "&apos;").replace("&quot;", "&#34;"),
        "".join(f"&#{ord(letter)};" for letter in SPELLED),
        "".join(f"&#x{ord(letter):X};" for letter in SPELLED),
        "".join(f"&#{ord(letter)};" if letter in "<>&'\"" else letter for letter in SPELLED),
        "".join(f"&#x{ord(letter):x};" if letter in "<>&'\"" else letter for letter in SPELLED),
        re.sub(r"%..", lambda found: found[0].lower(), urllib.parse.quote(SPELLED, safe="")),
        urllib.parse.quote_plus(SPELLED),
        urllib.parse.quote(SPELLED),
        "".join(f"%{byte:02x}" for byte in SPELLED.encode()),
    ],
)
def test_a_secret_is_hidden_as_programs_write_it(form: str) -> None:
    assert masker(SPELLED).mask(f"before {form} after") == f"before {MASK} after"


@pytest.mark.parametrize(
    "whole",
    [
        in_base64("hunter2-longer"),
        in_base64("hunter2-longer\n"),
        in_base64("admin:hunter2-longer"),
        in_base64("dut:hunter2-longer\n"),
        in_base64("user=root\npassword=hunter2-longer\n"),
        lines_of(in_base64("x" * 50 + "hunter2-longer" + "y" * 50), 76),
        lines_of(in_base64("x" * 42 + "hunter2-longer" + "y" * 50), 64).replace("\n", "\r\n"),
        base64.urlsafe_b64encode(b"~~~hunter2-longer???").decode().rstrip("="),
    ],
)
def test_a_secret_is_hidden_in_base64(whole: str) -> None:
    secret = "hunter2-longer"
    shown = masker(secret).mask(f"before {whole} after")
    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    left, _, right = shown.removeprefix("before ").removesuffix(" after").partition(MASK)
    for rest in (left, right):
        for skipped in range(4):
            readable = decoded(re.sub(r"\s", "", rest)[skipped:].rstrip("="))
            assert not pieces(secret) & pieces(readable)


def test_base64_of_something_else_is_left_alone() -> None:
    text = lines_of(in_base64("nothing to hide in this text, which is long enough for two lines of sixty-four"), 64)
    assert masker("hunter2-longer").mask(text) == text


def test_lines_that_are_no_base64_stay_lines() -> None:
    assert masker("hunter2").mask("one\ntwo hunter2\nthree\n") == f"one\ntwo {MASK}\nthree\n"


@pytest.mark.parametrize("left", ["hun", "hunter2-longe", "$'hun"])
def test_what_a_cut_leaves_of_a_secret_is_hidden(left: str) -> None:
    assert masker("hunter2-longer").mask_cut(f"${{x}} = {left.replace('$', '')}...").startswith("${x} = ")
    assert "hun" not in masker("hunter2-longer").mask_cut(f"${{x}} = {left}...")


def test_text_that_was_not_cut_is_masked_as_ever() -> None:
    assert masker("hunter2").mask_cut("hunter2 and hunt") == f"{MASK} and hunt"
    assert masker("hunter2").mask_cut("no more...") == "no more..."


def test_a_secret_with_control_characters_is_hidden_as_errors_show_it() -> None:
    assert masker("pass\x1bword").mask("is pass\\x1bword.") == f"is {MASK}."


def test_text_that_is_not_utf8_is_masked() -> None:
    assert masker("hunter2").mask("caf\udcff hunter2 \U0001f600") == f"caf\udcff {MASK} \U0001f600"


def test_many_secrets_are_each_hidden() -> None:
    secrets = [f"secret-{number:04d}-{number * 7919:x}" for number in range(300)]
    made = Masker()
    made.add(*secrets)
    assert made.mask(" ".join(secrets)) == " ".join([MASK] * 300)


def test_secrets_learned_later_are_hidden_too() -> None:
    made = masker("first-one")
    assert made.mask("first-one second-one") == f"{MASK} second-one"
    made.add("second-one")
    assert made.mask("first-one second-one") == f"{MASK} {MASK}"


def test_what_stands_around_a_secret_in_wrapped_base64_stays_as_it_is() -> None:
    secret = "hunter2-longer"
    whole = lines_of(in_base64("x" * 50 + secret + "y" * 50), 76)
    left, _, right = masker(secret).mask(whole).partition(MASK)
    # The characters that hold the secret alone, and two on each side, which hold some of its bits; one line break before the end.
    assert whole.startswith(left)
    assert len(left) == -(-50 * 8 // 6) - 2
    assert whole.endswith(right)
    assert len(whole) - len(right) == 64 * 8 // 6 + 2 + 1


def test_millions_of_short_lines_take_little_memory() -> None:
    masker = Masker()
    masker.add("hunter22-and-more")
    text = "y\n" * (1 << 20) + base64.b64encode(b"user:hunter22-and-more").decode()
    tracemalloc.start()
    try:
        masked = masker.mask(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert masked.startswith("y\n" * (1 << 20))
    assert masked.endswith("<secret>=")
    assert peak < 12 * len(text)


@given(st.integers(1, 9), st.integers(0, 5), st.sampled_from(["\n", "\r\n"]))
def test_base64_in_lines_of_any_length_is_hidden_whole(width: int, before: int, newline: str) -> None:
    masker = Masker()
    masker.add("hunter22-and-more")
    written = base64.b64encode(b"x" * before + b"hunter22-and-more" + b"x" * 9).decode()
    lines = newline.join(written[at : at + width] for at in range(0, len(written), width))
    masked = masker.mask(f"a line\n{lines}\nand b\n{lines}\n")
    assert masked.count("<secret>") == 2
    core = base64.b64encode(b"hunter22-and-more").decode()[4:16]
    assert core not in masked.replace("\n", "").replace("\r", "")


def test_what_is_settled_never_cuts_a_secret() -> None:
    masker = Masker()
    masker.add("hunter22-and-more")
    text = "x" * 3000 + "hunter22-and-more" + "y" * 505
    at = masker.settled(text)
    assert 0 < at <= 3000
    assert Masker().settled(text) == len(text)


def test_who_asked_is_told_of_each_new_secret_once() -> None:
    masker, told = Masker(), list[str]()
    masker.add("before")
    masker.when_learnt("me", told.extend)
    masker.add("one", "before")
    masker.add("one", "two")
    masker.when_learnt("me", None)
    masker.add("three")
    assert told == ["one", "two"]
