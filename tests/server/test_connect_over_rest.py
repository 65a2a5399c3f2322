"""The sheet of connections over REST: all ways in, no secret, and only for who may use them."""

from __future__ import annotations

import json
from pathlib import Path

#: One that nobody has the other half of.
_ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + 43 * "A"


async def test_the_sheet_says_all_ways_in(api, launched, configuration):
    await launched("a")

    answer = await api.get(
        "/environments/a/connect", params={"via": "me@gpuhost", "path": "/my proj"}
    )

    assert 200 == answer.code
    sheet = answer.json
    assert ("a", "dlenv-a", True) == (sheet["name"], sheet["alias"], sheet["running"])
    assert "jupyter dlenv shell a" in [line["command"] for line in sheet["commands"]]
    assert "PRIVATE KEY" not in json.dumps(sheet)
    # Where this machine has no SSH server, the process engine has none either, and says so.
    if not sheet["unavailable"]:
        blocks = {block["place"]: block["text"] for block in sheet["blocks"]}
        assert {"here", "laptop", "jupyter-url", "windows"} == set(blocks)
        assert "me@gpuhost" in blocks["laptop"]
        assert "ssh-proxy http://" in blocks["jupyter-url"]
        vscode = next(link for link in sheet["ides"] if link["id"] == "vscode")
        assert "ssh-remote+dlenv-a/my%20proj" in vscode["url"]


async def test_a_key_that_comes_with_a_launch_is_let_in(api, launched, configuration, image):
    key = f"{_ED25519} me@laptop"

    job = await launched("a", authorize=[key])
    refused = await api.post(
        "/environments", {"name": "b", "image": image, "authorize": ["no key"]}
    )
    checked = await api.post("/spec", {"name": "b", "image": image, "authorize": ["no key"]})

    assert ("ready", [key]) == (job["phase"], job["authorize"])
    assert [f"{key}\n"] == _let_in(configuration)
    assert (400, "invalid-spec") == (refused.code, refused.error["code"])
    assert ["invalid-spec"] == [found["code"] for found in checked.json["problems"]]


async def test_a_host_that_would_be_a_command_is_refused(api, launched):
    await launched("a")
    sheet = (await api.get("/environments/a/connect")).json

    answer = await api.get("/environments/a/connect", params={"via": "-oProxyCommand=id"})

    assert (400 if not sheet["unavailable"] else 200) == answer.code


async def test_an_unknown_environment_has_no_sheet(api):
    assert 404 == (await api.get("/environments/nobody/connect")).code


def _let_in(configuration):
    files = Path(configuration["data_dir"], "ssh").glob("*/authorized_keys")
    return [file.read_text() for file in files]
