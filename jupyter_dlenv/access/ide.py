"""Links that open an environment in an editor, and what each of them cannot do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from ..errors import InvalidSpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeLink:
    """One way into one editor.

    Attributes:
        id: What a program calls it (``vscode``).
        name: What people call it.
        url: What a browser or a desktop opens; empty if the editor knows no links.
        command: The same for a terminal; empty if the editor has no command.
        remark: What it needs, and what it cannot do.
    """

    id: str
    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    remark: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "url": self.url,
            "command": list(self.command),
            "remark": self.remark,
        }


_EXTENSION = "Needs the extension Remote - SSH, and the host in this machine's SSH configuration."
_OPEN_EXTENSION = (
    "Needs the extension jeanp413.open-remote-ssh, and the host in this machine's SSH "
    "configuration."
)
_OWN_SSH = "Needs the host in this machine's SSH configuration."
_GATEWAY = (
    "Opens JetBrains Gateway with the fields filled in; press Check Connection and Continue there. "
    "Gateway connects by itself, so there has to be a published port."
)
_PYCHARM = (
    "PyCharm knows no links: Settings, Project, Python Interpreter, Add, On SSH. Interpreters on "
    "other machines need PyCharm Pro. It connects by itself, so there has to be a published port."
)
_ATTACH = (
    "Needs the extension Dev Containers, and Docker's socket where VS Code runs. Ports and files "
    "go through Docker and not through SSH; Cursor cannot do it."
)

#: The editors of the family of VS Code: the scheme of the link, the command, the remark.
_FAMILY = (
    ("vscode", "VS Code", "vscode", "code", _EXTENSION),
    ("insiders", "VS Code Insiders", "vscode-insiders", "code-insiders", _EXTENSION),
    ("cursor", "Cursor", "cursor", "cursor", _OWN_SSH),
    ("windsurf", "Windsurf", "windsurf", "windsurf", _OWN_SSH),
    ("codium", "VSCodium", "vscodium", "codium", _OPEN_EXTENSION),
)


def ide_links(
    *, alias: str, user: str, port: int, path: str, container: str
) -> tuple[IdeLink, ...]:
    """Return the links into one environment, the best ones first.

    Args:
        alias: What ssh calls the environment.
        user: Whom its server lets in.
        port: On this machine; 0 if none is published.
        path: The directory to open, absolute.
        container: The name of the container, for editors that attach to it; empty if it is none.
    """
    if not path.startswith("/") or any(ord(c) < 32 for c in path):
        raise InvalidSpecError(f"{path!r} is not an absolute path.")
    there = f"ssh-remote+{_part(alias)}{_path(path)}"
    links = [
        IdeLink(
            id=id_,
            name=name,
            url=f"{scheme}://vscode-remote/{there}?windowId=_blank",
            command=_folder(command, there),
            remark=remark,
        )
        for id_, name, scheme, command, remark in _FAMILY
    ]
    links.append(
        IdeLink(
            id="zed",
            name="Zed",
            url=f"zed://ssh/{_part(alias)}{_path(path)}",
            command=("zed", f"ssh://{_part(alias)}{_path(path)}"),
            remark=_OWN_SSH,
        )
    )
    gateway = (
        "jetbrains-gateway://connect#type=ssh&deploy=false"
        f"&host=127.0.0.1&port={port}&user={_part(user)}&projectPath={_part(path)}"
    )
    links += [
        IdeLink(
            id="gateway",
            name="JetBrains Gateway",
            url=gateway if port else "",
            remark=_GATEWAY,
        ),
        IdeLink(id="pycharm", name="PyCharm", remark=_PYCHARM),
    ]
    if container:
        attached = f"attached-container+{_hex(container)}{_path(path)}"
        links.append(
            IdeLink(
                id="attach",
                name="VS Code, attached to the container",
                url=f"vscode://vscode-remote/{attached}",
                command=_folder("code", attached),
                remark=_ATTACH,
            )
        )
    return tuple(links)


def ide_link(links: tuple[IdeLink, ...], wanted: str) -> IdeLink:
    """Return the link of an editor.

    Raises:
        InvalidSpecError: No such editor is known, or it has neither link nor command.
    """
    names = ", ".join(link.id for link in links)
    found = next((link for link in links if link.id == wanted), None)
    if found is None:
        raise InvalidSpecError(f"{wanted!r} is no editor that is known.", hint=f"One of {names}.")
    if not found.url and not found.command:
        raise InvalidSpecError(f"{found.name} cannot be opened from here.", hint=found.remark)
    return found


def _folder(command: str, authority_and_path: str) -> tuple[str, ...]:
    # With '=': on Windows the script between would take the URI apart.
    return (command, f"--folder-uri=vscode-remote://{authority_and_path}")


def _hex(container: str) -> str:
    # As Dev Containers write it: compact, and with the slash that Docker's own names have.
    text = json.dumps({"containerName": f"/{container}"}, separators=(",", ":"))
    return text.encode().hex()


def _path(path: str) -> str:
    return quote(path, safe="/")


def _part(text: str) -> str:
    return quote(text, safe="")
