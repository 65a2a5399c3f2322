"""Finds a sentence among templates, whatever names and numbers are in it, and says it otherwise.

What is in the holes may be anybody's: it is never taken for code, costs no more time than its
length, and is passed on as it is, unless the translation says that words of ours stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: ``{0}``, and in a translation what may be in it: words of ours to be said as well, a number
#: (digits), or a single word.
_HOLE = re.compile(r"\{(\d)([sdw]?)\}")
_END = re.compile(r"(?<=[.?!])\s+")
_SEPARATORS = ("; ", ", ", " and ")
#: Longer texts are no sentences of ours, or somebody's who wants to keep us busy.
_LONGEST = 4000
_MOST_SENTENCES = 8
_MOST_PARTS = 16
#: Words within words within a sentence.
_DEEPEST = 2


class Sentences:
    """Our sentences in one language.

    Args:
        language: As HTTP and HTML call it: ``zh-CN``.
        catalogue: What is said for each template.  A hole is ``{0}``; where it may be filled
            with words of ours, to be said as well, the translation has ``{0s}``; where only with
            a number, ``{0d}``, and where only with a word, ``{0w}``.
    """

    def __init__(self, language: str, catalogue: Mapping[str, str]) -> None:
        self.language = language
        self._whole = {e: other for e, other in catalogue.items() if not _HOLE.search(e)}
        holed = [_Template.read(e, other) for e, other in catalogue.items() if _HOLE.search(e)]
        # Of two that fit, the one that says more itself is meant.
        holed.sort(key=lambda t: len("".join(t.literals)), reverse=True)
        self._templates = [(t.literals[0], t.literals[-1], t) for t in holed]

    def say(self, text: str) -> str:
        """Return a text in this language, as far as its sentences are known."""
        ends = list(_END.finditer(text))
        if not text or len(text) > _LONGEST or len(ends) >= _MOST_SENTENCES:
            return text
        said, begin = "", 0
        while begin < len(text):
            # The longest beginning that is known: some templates are several sentences.
            cuts = [(len(text), len(text))] + [e.span() for e in reversed(ends) if e.end() > begin]
            for end, after in cuts:
                words, space = self._one(text[begin:end], 0), text[end:after]
                if words is not None:
                    break
            words = words or text[begin:end]
            # After a full stop of full width there is no space.
            said += words if space == " " and not words[-1:].isascii() else words + space
            begin = after
        return said

    def _one(self, text: str, depth: int) -> str | None:
        """Return a sentence or words in this language; ``None`` if they are not known."""
        if (whole := self._whole.get(text)) is not None:
            return whole
        if (words := self._list(text, depth)) is not None:
            return words
        for first, last, template in self._templates:
            if text.startswith(first) and text.endswith(last):
                filling = template.match(text)
                words = None if filling is None else self._filled(template, filling, depth)
                if words is not None:
                    return words
        return None

    def _list(self, text: str, depth: int) -> str | None:
        """Return what is a list of words that are all known."""
        for separator in _SEPARATORS:
            parts = text.split(separator, _MOST_PARTS)
            if 1 < len(parts) <= _MOST_PARTS:
                said = [self._one(part, depth) for part in parts]
                known = [part for part in said if part is not None]
                if len(known) == len(parts):
                    return self._whole.get(separator, separator).join(known)
        return None

    def _filled(self, template: _Template, filling: list[str], depth: int) -> str | None:
        said = ""
        for part in template.said:
            if isinstance(part, str):
                said = _beside(said, part)
                continue
            number, kind = part
            words = filling[number]
            if kind == "s":
                known = self._words(words, depth + 1)
                if known is None and template.is_bare:
                    return None
                words = words if known is None else known
            said = _beside(said, words)
        return said

    def _words(self, text: str, depth: int) -> str | None:
        if depth > _DEEPEST:
            return None
        if (said := self._one(text, depth)) is not None:
            return said
        # A sentence within another one has lost its full stop.
        said = None if text.endswith(".") else self._one(f"{text}.", depth)
        return None if said is None else said.rstrip("。.")


@dataclass(frozen=True, slots=True)
class _Template:
    """A sentence with holes.

    Attributes:
        literals: What stands before, between and after its holes in English.
        kinds: What may be in each hole, in the order of English.
        said: The same in the other language: texts, and holes by their place in English.
    """

    literals: tuple[str, ...]
    kinds: tuple[str, ...]
    said: tuple[str | tuple[int, str], ...]

    @classmethod
    def read(cls, english: str, other: str) -> _Template:
        *parts, last = _cut(english)
        places = {number: place for place, (_, number, _) in enumerate(parts)}
        *filled, end = _cut(other)
        said: list[str | tuple[int, str]] = []
        for text, number, kind in filled:
            said += [text, (places[number], kind)]
        kinds = {places[number]: kind for _, number, kind in filled}
        return cls(
            literals=(*(text for text, _, _ in parts), last[0]),
            kinds=tuple(kinds.get(place, "") for place in range(len(parts))),
            said=(*said, end[0]),
        )

    @property
    def is_bare(self) -> bool:
        """Tell whether it has no words of its own: it means something only around ours."""
        return not any(map(str.isalpha, "".join(self.literals)))

    def match(self, text: str) -> list[str] | None:
        """Return what is in the holes if the text is this sentence, in one pass."""
        first, *middle, last = self.literals
        begin, end = len(first), len(text) - len(last)
        if begin > end or not (text.startswith(first) and text.endswith(last)):
            return None
        found = []
        for literal in middle:
            at = text.find(literal, begin, end)
            if at < 0:
                return None
            found.append(text[begin:at])
            begin = at + len(literal)
        found.append(text[begin:end])
        fits = all(_may_be(words, kind) for words, kind in zip(found, self.kinds, strict=True))
        return found if fits else None


def _beside(said: str, words: str) -> str:
    """Return both, without a space between characters that have none between them."""
    if said[-1:] == " " and words and not words[0].isascii() and not said[-2:-1].isascii():
        said = said[:-1]
    if words[:1] == " " and said and not said[-1].isascii() and not words[1:2].isascii():
        words = words[1:]
    return said + words


def _may_be(words: str, kind: str) -> bool:
    if kind == "d":
        return words.isascii() and words.replace(".", "", 1).isdigit()
    if kind == "w":
        return " " not in words
    # What goes on after the end of a sentence is another one.
    return not _END.search(words)


def _cut(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield what stands before each hole, its number and kind; at last what stands behind all."""
    begin = 0
    for hole in _HOLE.finditer(text):
        yield text[begin : hole.start()], hole[1], hole[2]
        begin = hole.end()
    yield text[begin:], "", ""
