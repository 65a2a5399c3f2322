"""Finds the sentences that our code can say to a page, as templates: ``There is no GPU {0}.``."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "jupyter_dlenv"

#: What no page shows. Doors of their own: the terminal, the notebook, other programs' kernels.
ELSEWHERE = (
    "access/ssh_proxy.py",
    "agent/start.py",
    "binder",
    "cli",
    "configuration.py",
    "demo.py",
    "kernels/bridge",
    "magics",
    "server/app.py",
    "widgets",
)
#: Names whose words are said to people: of arguments and variables, of functions that return
#: or are given words which become part of a sentence.
SAID = frozenset(
    {"fix", "hint", "message", "problem", "purpose", "reason", "remark", "subject", "system"}
    | {"text", "title", "unavailable", "what"}
)
WORDS_OF = frozenset(
    {"_check_possible", "_copied", "_message", "_place", "_users", "_words", "beyond", "fence"}
    | {"kept_for", "packages_carried", "who_listens", "why_taken", "why_unusable", "words"}
)
WORDS_FOR = frozenset({"_check_distinct", "_nonsense", "interrupted", "within"})
#: Arguments with words that are others', secret, or for programs.
UNSAID = frozenset({"detail", "help", "log", "pattern"})
_SENTENCE = re.compile(r"[A-Za-z{`'].*[a-z}`)] .*[.?]", re.DOTALL)
_CODE = re.compile(r"[;<>|]\S|\\[a-zS]|\)\?|\n$")
_PERCENT = re.compile(r"%(?:\.\d)?[sdrg]")
_LOGGERS = frozenset({"_log", "self.log", "log", "logger"})


@cache
def sentences() -> dict[str, str]:
    """Return the templates, each with a place where it is said."""
    found: dict[str, str] = {}
    for path in _sources():
        room = str(path.relative_to(PACKAGE))
        for line, template in _Reader(path.read_text()).said():
            found.setdefault(template, f"{room}:{line}")
    for entry in json.loads((PACKAGE / "images/catalogue.json").read_text())["entries"]:
        for key in ("purpose", "notes"):
            if entry[key]:
                found.setdefault(entry[key], f"images/catalogue.json: {entry['name']}")
    return found


@cache
def literals() -> set[str]:
    """Return every text in our code as a template, said or not."""
    return {t for path in _sources() for t in _Reader(path.read_text()).everything()}


def _sources() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = str(path.relative_to(PACKAGE))
        if not room.startswith(ELSEWHERE):
            yield path


class _Reader:
    """One module."""

    def __init__(self, source: str) -> None:
        self._tree = ast.parse(source)
        self._above: dict[ast.AST, ast.AST] = {}
        for node in ast.walk(self._tree):
            for child in ast.iter_child_nodes(node):
                self._above[child] = node

    def everything(self) -> Iterator[str]:
        for node in self._texts():
            yield from templates(self._whole(node))

    def said(self) -> Iterator[tuple[int, str]]:
        for node in self._texts():
            if self._is_unsaid(node):
                continue
            for template in templates(self._whole(node)):
                looks = _SENTENCE.fullmatch(template) is not None and not _CODE.search(template)
                if (looks or self._is_word(node)) and re.search("[A-Za-z]{2}", _bare(template)):
                    yield getattr(node, "lineno", 0), template

    def _texts(self) -> Iterator[ast.expr]:
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.JoinedStr | ast.Constant):
                continue
            if isinstance(node, ast.Constant) and not isinstance(node.value, str):
                continue
            above = self._above[node]
            # A docstring, or a part of a larger text.
            if isinstance(above, ast.Expr) or self._is_part(node):
                continue
            yield node

    def _is_part(self, node: ast.AST) -> bool:
        for above in self._ancestors(node):
            if isinstance(above, ast.JoinedStr):
                return True
            if isinstance(above, ast.stmt):
                break
        return False

    def _whole(self, node: ast.expr) -> ast.expr:
        above = self._above[node]
        is_filled = isinstance(above, ast.BinOp) and isinstance(above.op, ast.Mod)
        return above if is_filled and isinstance(above, ast.BinOp) and above.left is node else node

    def _ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self._above:
            node = self._above[node]
            yield node

    def _is_unsaid(self, node: ast.AST) -> bool:
        for above in self._ancestors(node):
            if isinstance(above, ast.keyword) and above.arg in UNSAID:
                return True
            if isinstance(above, ast.Call):
                called = ast.unparse(above.func)
                if called.rpartition(".")[0] in _LOGGERS or called.startswith("re."):
                    return True
            if isinstance(above, ast.JoinedStr | ast.stmt):
                break
        return False

    def _is_word(self, node: ast.AST) -> bool:
        for above in self._ancestors(node):
            if isinstance(above, ast.Subscript | ast.Compare):
                return False
            if isinstance(above, ast.keyword):
                return above.arg in SAID
            if isinstance(above, ast.Call):
                return ast.unparse(above.func).rpartition(".")[2] in WORDS_FOR
            if isinstance(above, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id in SAID for t in above.targets
            ):
                return True
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef):
                return above.name in WORDS_OF
        return False


def templates(node: ast.expr) -> list[str]:
    """Return what a text can look like: one template for each way through its conditions."""
    ways = list(itertools.product(*_pieces(node)))
    return list(dict.fromkeys(_numbered("".join(way)) for way in ways))


def _pieces(node: ast.expr) -> list[list[str]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        node = node.left
        assert isinstance(node, ast.Constant)
        return [[_PERCENT.sub("\0", node.value)]]
    if isinstance(node, ast.Constant):
        return [[str(node.value)]]
    if isinstance(node, ast.JoinedStr):
        return [
            [v.value] if isinstance(v, ast.Constant) else _choices(v.value)
            for v in node.values
            if isinstance(v, ast.Constant | ast.FormattedValue)
        ]
    return [["\0"]]


def _choices(value: ast.expr) -> list[str]:
    """Return what may stand in a hole: its texts, if it is a choice of texts."""
    if isinstance(value, ast.IfExp):
        return [*_choices(value.body), *_choices(value.orelse)]
    if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
        return [c for v in value.values for c in _choices(v)]
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, ast.JoinedStr):
        return ["".join(way) for way in itertools.product(*_pieces(value))]
    return ["\0"]


def _numbered(text: str) -> str:
    count = itertools.count()
    return re.sub("\0+", lambda _: f"{{{next(count)}}}", text)


def _bare(template: str) -> str:
    return re.sub(r"\{\d\}", "", template)
