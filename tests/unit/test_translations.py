"""Every sentence of the front end is in every translation, and nothing else is."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "labextension/src").glob("*.ts*"))
SCHEMA = ROOT / "labextension/schema/plugin.json"
LOCALES = sorted((ROOT / "jupyter_dlenv/locale").glob("*/LC_MESSAGES/jupyter_dlenv.json"))
STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
CALL = re.compile(rf"trans\.(__|_n|_p)\(\s*({STRING})(?:\s*,\s*({STRING}))?")


@pytest.fixture(scope="module")
def messages() -> dict[str, str]:
    """Return how each message is asked for: ``__``, ``_n`` or ``_p``."""
    found = {}
    for source in SOURCES:
        for kind, first, second in CALL.findall(source.read_text()):
            key = ast.literal_eval(first)
            found[f"{key}\x04{ast.literal_eval(second)}" if kind == "_p" else key] = kind
    schema = json.loads(SCHEMA.read_text())
    titled = [schema, *schema["properties"].values()]
    words = [item[key] for item in titled for key in ("title", "description")]
    return found | {f"schema\x04{word}": "_p" for word in words}


@pytest.mark.parametrize("locale", LOCALES, ids=lambda path: path.parts[-3])
def test_a_translation_is_complete_and_has_nothing_that_is_not_said(locale, messages):
    translation = json.loads(locale.read_text())
    head = translation.pop("")

    # JupyterLab looks for messages by this, and finds none when it is written as the directory is.
    assert locale.parts[-3].replace("_", "-") == head["language"]
    assert set(messages) == set(translation)
    # JupyterLab ignores a plural with one form, even in a language that has no other.
    assert {k: len(forms) for k, forms in translation.items()} == {
        key: 2 if kind == "_n" else 1 for key, kind in messages.items()
    }
    assert all(all(forms) for forms in translation.values())


@pytest.mark.parametrize("locale", LOCALES, ids=lambda path: path.parts[-3])
def test_a_translation_keeps_what_is_filled_in(locale):
    translation = json.loads(locale.read_text())
    del translation[""]

    for message, forms in translation.items():
        for form in forms:
            assert set(re.findall(r"%\d", message)) == set(re.findall(r"%\d", form)), message
