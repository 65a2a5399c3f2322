"""What SSH clients and editors are told: complete, quoted, and without secrets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from jupyter_dlenv.access.client import (
    SshTarget,
    host_block,
    laptop_block,
    stream_command,
    url_block,
    windows_block,
)
from jupyter_dlenv.access.connect import connection_sheet
from jupyter_dlenv.access.ide import ide_link, ide_links
from jupyter_dlenv.agent.sshd import set_env
from jupyter_dlenv.errors import InvalidSpecError
from jupyter_dlenv.models import Environment, EnvironmentSpec, Status

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqCzVSTXUHuASUKuOl9xBUBRYV8yeHBZ2mS0E4yKXdq"
DIRECTORY = Path("/data/of 100%/ssh/0123456789")


def target(**changes):
    values = {
        "alias": "dlenv-x",
        "name": "x",
        "user": "alice",
        "port": 7603,
        "host_key": KEY,
        "directory": DIRECTORY,
        "stream": ("env", "DOCKER_HOST=ssh://a b/%h", "python3", "-m", "jupyter_dlenv"),
    }
    return SshTarget(**{**values, **changes})


def understood(text: str, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "settings"
    config.write_text(text)
    command = ["ssh", "-G", "-F", str(config), "dlenv-x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert not done.returncode, done.stderr
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    return {keyword: value for keyword, _, value in pairs}


BLOCKS = {
    "here": host_block,
    "stream": lambda t: host_block(t, through_stream=True),
    "laptop": lambda t: laptop_block(t, via="me@gpuhost:2222"),
    "url": lambda t: url_block(t, url="https://hub/user/me@example.org/"),
    "windows": lambda t: windows_block(t, via="me@gpuhost"),
}


@pytest.mark.parametrize("place", BLOCKS)
@pytest.mark.parametrize("port", [7603, 0])
def test_ssh_understands_every_block_and_will_ask_nothing(place, port, tmp_path):
    found = understood(BLOCKS[place](target(port=port)), tmp_path)

    assert ("alice", "dlenv-x") == (found["user"], found["hostkeyalias"])
    assert found["stricthostkeychecking"] in ("true", "yes")
    assert "no" == found["forwardagent"]
    assert "publickey" == found["preferredauthentications"]
    assert ("proxycommand" in found) == (place in ("stream", "url") or not port)


def test_paths_and_commands_reach_ssh_as_they_are(tmp_path):
    found = understood(host_block(target(port=0)), tmp_path)

    assert str(DIRECTORY / "id_ed25519").replace("%", "%%") == found["identityfile"]
    assert "env 'DOCKER_HOST=ssh://a b/%%h' python3 -m jupyter_dlenv" == found["proxycommand"]


def test_two_blocks_of_one_alias_do_not_mix(tmp_path):
    published, streamed = host_block(target()), host_block(target(port=0, user="bob"))

    assert "proxycommand" not in understood(published + streamed, tmp_path)
    assert "22" == understood(streamed + published, tmp_path)["port"]


@pytest.mark.parametrize("via", ["-oProxyCommand=id", "a b", "host;id", "$(id)", "a\nb"])
def test_a_host_that_would_be_more_than_a_host_is_refused(via):
    with pytest.raises(InvalidSpecError):
        laptop_block(target(), via=via)


@pytest.mark.parametrize("url", ["ftp://x/", "https://x/ -o", "https://x/\nHost *", "javascript:1"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(InvalidSpecError):
        url_block(target(), url=url)


def test_the_stream_takes_along_how_its_engine_is_found(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://gpu:2376")
    monkeypatch.setenv("WANDB_API_KEY", "secret")

    words = stream_command("x", engine="docker", owner="me")

    assert "DOCKER_HOST=tcp://gpu:2376" in words
    assert ("ssh-stream", "--owner", "me", "x") == words[-4:]
    assert not any("secret" in word for word in words)


def links(path="/workspace/my proj/ü#1?", **changes):
    values = {"alias": "dlenv-x", "user": "alice", "port": 7603, "container": "dlenv.me.x"}
    return ide_links(**{**values, **changes}, path=path)


@pytest.mark.parametrize(
    ("ide", "scheme"),
    [
        ("vscode", "vscode"),
        ("insiders", "vscode-insiders"),
        ("cursor", "cursor"),
        ("windsurf", "windsurf"),
        ("codium", "vscodium"),
    ],
)
def test_links_of_the_family_of_vs_code(ide, scheme):
    link = ide_link(links(), ide)

    there = "ssh-remote+dlenv-x/workspace/my%20proj/%C3%BC%231%3F"
    assert f"{scheme}://vscode-remote/{there}?windowId=_blank" == link.url
    assert f"--folder-uri=vscode-remote://{there}" == link.command[1]


def test_the_other_links():
    zed, gateway = (ide_link(links(), ide) for ide in ("zed", "gateway"))

    assert "zed://ssh/dlenv-x/workspace/my%20proj/%C3%BC%231%3F" == zed.url
    fields = dict(field.split("=") for field in urlsplit(gateway.url).fragment.split("&"))
    assert ("ssh", "127.0.0.1", "7603", "alice") == tuple(
        fields[name] for name in ("type", "host", "port", "user")
    )
    assert "/workspace/my proj/ü#1?" == unquote(fields["projectPath"])


def test_the_container_is_named_as_dev_containers_does():
    attach = ide_link(links("/workspace", container="dlenv-x"), "attach")

    # From a public user of that link, see the facts on IDE links.
    written = "7b22636f6e7461696e65724e616d65223a222f646c656e762d78227d"
    assert f"vscode://vscode-remote/attached-container+{written}/workspace" == attach.url


def test_what_a_link_cannot_do_is_said():
    assert "press Check Connection and Continue" in ide_link(links(), "gateway").remark
    for ide, port in (("pycharm", 7603), ("gateway", 0)):
        with pytest.raises(InvalidSpecError) as caught:
            ide_link(links(port=port), ide)
        assert "published port" in caught.value.hint
    with pytest.raises(InvalidSpecError):
        ide_link(links(), "emacs")
    assert all(link.remark for link in links())


@pytest.mark.parametrize("path", ["relative", "/a\nb", ""])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(InvalidSpecError):
        links(path)


def test_the_sheet_of_an_environment_without_ssh_still_has_a_way_in():
    spec = EnvironmentSpec(name="x", image="i")
    environment = Environment(
        id="0123456789", spec=spec, status=Status.RUNNING, container_id="c", image_id="i",
        owner="me", engine="docker", home="/home/dlenv",
    )  # fmt: skip

    sheet = connection_sheet(
        environment, None, alias="dlenv-x", container="", python="", unavailable="No server."
    )

    assert ("No server.", None) == (sheet.unavailable, sheet.fields)
    assert ["jupyter dlenv shell x"] == [line.command for line in sheet.commands]
    json.dumps(sheet.to_json())


def test_variables_that_a_server_cannot_read_are_left_out_and_the_others_are_quoted():
    values = {
        "A": 'x "y" \\z',
        "B": "two words # no comment",
        "C": "a\nb",
        "D%%": "()",
        "HOME": "/",
    }

    new, old = (set_env({**values, "PATH": "/bin"}, escapes=escapes) for escapes in (True, False))

    assert r'"A=x \"y\" \\z"' in new
    assert '"B=two words # no comment"' in new
    assert '"DLENV_PATH=/bin"' in new
    assert '"A=' not in old
    for line in (new, old):
        assert not any(name in line for name in ('"C=', '"D%', '"HOME='))
        assert 1 == line.count("\n")
