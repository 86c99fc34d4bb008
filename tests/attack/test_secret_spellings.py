"""A command that prints a secret in a spelling of its own does not show it, as real shells and tools write it."""

from __future__ import annotations

import subprocess

import pytest

from OttoLibrary.masking import Masker
from OttoLibrary.text import decode
from tests.peers.requirements import require

SECRETS = [
    "p'a\"s <s>&\\ö$1`x`!",
    "hunter2-longer",
    "two words, {a,b} ~#",
    "#a~b^c=d;e|f",
    "tab\there\x01",
    "line one\nline two",
    "-n*?[x]",
]
WAYS = [
    'printf %s\\\\n "$SECRET"',
    'printf %q\\\\n "$SECRET"',
    'set -x; : "$SECRET"',
    "set -x; x=$SECRET",
    "x=$SECRET; declare -p x",
    "declare -px | grep -A1 SECRET=",
    "x=$SECRET; set | grep -A1 '^x='",
    'echo "${SECRET@Q}"',
    'echo "${SECRET@A}"',
    'x=(a "$SECRET"); declare -p x',
    "env | grep -A1 ^SECRET=",
    'printf %s "$SECRET" | base64',
    'printf %s\\\\n "$SECRET" | base64',
    'echo "Authorization: Basic $(printf %s "user:$SECRET" | base64)"',
    "{ printf 'x%.0s' {1..50}; printf %s \"$SECRET\"; printf 'y%.0s' {1..50}; } | base64",
    "{ printf 'x%.0s' {1..50}; printf %s \"$SECRET\"; printf 'y%.0s' {1..50}; } | base64 -w 64",
    'printf %s "$SECRET" | basenc --base64url',
    "python3 -c 'import json,os; print(json.dumps(os.environ[\"SECRET\"]))'",
    "python3 -c 'import os; print([os.environ[\"SECRET\"]])'",
    'python3 -c \'import os, urllib.parse as u; print(u.quote(os.environ["SECRET"], safe="").lower())\'',
    "python3 -c 'import os, html; print(html.escape(os.environ[\"SECRET\"]))'",
]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_no_way_to_print_a_secret_shows_it(secret: str, way: str, locale: str) -> None:
    require("bash")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "SECRET": secret, "LC_ALL": locale, "PYTHONUTF8": "1"}
    done = subprocess.run(
        ["bash", "-c", way.replace("\\\\n", "\\n")], env=environment, capture_output=True, timeout=30, check=False
    )
    masker = Masker()
    plain = decode(done.stdout + done.stderr)
    assert plain.strip(), "the way prints nothing"
    masker.add(secret)
    shown = masker.mask(plain)
    assert shown.count("<secret>") >= 1, plain
    for word in ("hunter2", "p'a", "p\\'a", "two", "#a", "there", "here", "line", "x]", "[x"):
        if word in secret:
            assert word not in shown.replace("<secret>", ""), shown
