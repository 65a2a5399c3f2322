"""In which language a request is answered, and which parts of an answer are our sentences.

All rooms write plain English.  Here, at the edge, it is said in the language that is asked for.
What is in no catalogue stays as it is, and so do the words of others: what an engine, a registry
or a kernel has said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from .templates import Sentences

#: Of what is sent, the keys whose texts are ours and for people.
_PROSE = frozenset(
    {"beyond", "cause", "fix", "hint", "message", "notes", "problem", "purpose", "reason", "remark"}
    | {"title", "unavailable", "warnings"}
)
#: The same, of keys that elsewhere have settings or code.
_PROSE_WITHIN = frozenset({("remarks", "text")})
#: What users and others have written, in whatever language: never looked into.
_OF_OTHERS = frozenset({"detail", "env", "labels", "log", "spec"})
#: Not those of Taiwan and Hong Kong, where other characters and words are used.
_LANGUAGES = {"zh": "zh-CN", "zh-cn": "zh-CN", "zh-hans": "zh-CN", "zh-sg": "zh-CN"}


def in_language(sentences: Sentences, value: Any, within: str = "") -> Any:
    """Return something that is sent as JSON, with its sentences in another language.

    Args:
        within: The key that it is sent under.
    """
    if isinstance(value, Mapping):
        return {k: _member(sentences, within, k, v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [in_language(sentences, v, within) for v in value]
    return value


def _member(sentences: Sentences, within: str, key: str, value: Any) -> Any:
    if key in _OF_OTHERS:
        return value
    if key in _PROSE or (within, key) in _PROSE_WITHIN:
        if isinstance(value, str):
            return sentences.say(value)
        if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return [sentences.say(v) for v in value]
    return in_language(sentences, value, key)


def sentences_for(accept_language: str) -> Sentences | None:
    """Return the sentences that whoever asks wants most; ``None`` if those are English.

    Args:
        accept_language: The header of the request, or empty.
    """
    best, best_weight = "", 0.0
    for choice in accept_language[:200].split(","):
        language, _, quality = choice.partition(";")
        weight = _number(quality.strip().removeprefix("q=")) if quality else 1.0
        if weight > best_weight:
            best, best_weight = language.strip().lower(), weight
    best = "zh-hans" if best.startswith("zh-hans-") else best
    return _shipped(_LANGUAGES[best]) if best in _LANGUAGES else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@cache
def _shipped(language: str) -> Sentences:
    """Return a language that comes with this package; read when it is asked for first."""
    file = resources.files(__package__).joinpath(f"sentences/{language}.json")
    return Sentences(language, json.loads(file.read_text(encoding="utf-8")))
