"""The documentation names everything that exists, and nothing that does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from jupyter_dlenv import errors
from jupyter_dlenv.cli.commands import dlenv
from jupyter_dlenv.configuration import Configuration
from jupyter_dlenv.errors import DlenvError
from jupyter_dlenv.server.app import DlenvApp
from jupyter_dlenv.server.handlers import ROUTES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def tree(kind: type[DlenvError]) -> Iterator[type[DlenvError]]:
    yield kind
    for child in kind.__subclasses__():
        # Those of the web server are its own matter; openapi.json lists them.
        if child.__module__ == errors.__name__:
            yield from tree(child)


def commands(group: click.Command, prefix: str = "") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        # What only other programs call is nobody's example.
        if command.hidden:
            continue
        yield f"{prefix}{name}"
        yield from commands(command, f"{prefix}{name} ")


def own_traits(kind: type) -> list[str]:
    return sorted(
        name for name, trait in kind.class_traits(config=True).items() if trait.this_class is kind
    )


@pytest.mark.parametrize("kind", list(tree(DlenvError)), ids=lambda kind: kind.code)
def test_every_error_has_its_row_in_troubleshooting(kind: type[DlenvError]) -> None:
    meaning = (kind.__doc__ or "").splitlines()[0]

    assert f"| `{kind.code}` | {meaning} | {kind.default_hint} |" in page("troubleshooting.md")


def test_every_error_is_in_the_tree_at_the_top_of_its_module() -> None:
    drawn = re.findall(r"(\w+Error) +([a-z-]+)$", errors.__doc__ or "", re.MULTILINE)

    expected = {(kind.__name__, kind.code) for kind in tree(DlenvError)} - {
        ("DlenvError", "dlenv-error")
    }
    assert set(drawn) == expected


@pytest.mark.parametrize("command", list(commands(dlenv)))
def test_every_command_has_an_example(command: str) -> None:
    assert re.search(rf"^\$ jupyter dlenv {command}\b", page("cli.md"), re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_command_that_does_not_exist(path: Path) -> None:
    named = re.findall(r"(?:`|\$ )jupyter dlenv ([a-z]+)", path.read_text(encoding="utf-8"))

    assert set(named) <= set(commands(dlenv))


@pytest.mark.parametrize("kind", list(tree(DlenvError)), ids=lambda kind: kind.code)
def test_no_hint_names_a_command_that_does_not_exist(kind: type[DlenvError]) -> None:
    named = re.findall(r"jupyter dlenv ([a-z]+)", kind.default_hint)

    assert set(named) <= set(commands(dlenv))


@pytest.mark.parametrize("kind", [Configuration, DlenvApp])
def test_every_setting_is_explained(kind: type) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("security.md"), re.MULTILINE)

    assert set(own_traits(kind)) <= set(rows)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_setting_that_does_not_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"\bc\.(Configuration|DlenvApp)\.(\w+)", text)

    kinds = {"Configuration": Configuration, "DlenvApp": DlenvApp}
    assert [name for kind, name in named if not kinds[kind].class_traits().get(name)] == []


def test_every_route_is_in_the_overview() -> None:
    verbs = ("get", "post", "put", "patch", "delete")
    served = {
        f"{verb.upper()} {path}" for path, handler in ROUTES for verb in verbs
        if verb in vars(handler)
    }  # fmt: skip

    assert set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", page("rest.md"), re.MULTILINE)) == served


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []
