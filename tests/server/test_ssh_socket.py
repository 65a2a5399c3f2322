"""SSH with nothing but the Jupyter URL: the program for laptops, a real sshd, who is refused."""

from __future__ import annotations

import asyncio
import getpass
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tornado.httpclient import HTTPClientError

from jupyter_dlenv.access import ssh_proxy

SCRIPT = Path(ssh_proxy.__file__)
SSHD_CONFIG = """
HostKey {directory}/host
AuthorizedKeysFile {directory}/client.pub
StrictModes no
PidFile none
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""
SSH_CONFIG = """
Host a
    ProxyCommand {python} {script} {url} a --token-file {directory}/token
    User {user}
    IdentityFile {directory}/{key}
    IdentitiesOnly yes
    HostKeyAlias dlenv-a
    UserKnownHostsFile {directory}/{known}
    GlobalKnownHostsFile /dev/null
    BatchMode yes
    LogLevel ERROR
"""


@pytest.fixture
def url(jp_http_port, jp_base_url):
    return f"http://127.0.0.1:{jp_http_port}{jp_base_url}"


@pytest.fixture
def token(jp_serverapp, tmp_path):
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(jp_serverapp.identity_provider.token)
    return path


@pytest.fixture
def speaking(dlenv, launched):
    """Return a function that launches ``a``, whose SSH stream is that of a shell command."""

    async def speak(command: str) -> None:
        await launched("a")
        environment = await dlenv.environments().get("a")
        (Path(environment.runtime_dir) / "ssh-stream").write_text(f"exec {command}\n")

    return speak


async def run(*words: object, stdin: bytes = b"", **variables: str) -> tuple[int, bytes, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    return process.returncode, out, err.decode()


async def proxy(url, *options: object, stdin: bytes = b"", **variables: str):
    return await run(sys.executable, "-I", SCRIPT, url, "a", *options, stdin=stdin, **variables)


async def test_every_byte_passes_in_both_directions(speaking, url, token):
    await speaking("cat")
    data = random.Random(7).randbytes(20_000_000)

    code, out, err = await proxy(url, "--token-file", token, stdin=data)

    assert (0, "") == (code, err)
    assert data == out


async def test_who_reads_slowly_slows_the_environment_down_and_loses_nothing(
    speaking, url, token, dlenv, tmp_path
):
    written = tmp_path / "written"
    await speaking(
        f"{sys.executable} -c 'import os\n"
        f"for i in range(640): os.write(1, bytes([i % 251]) * 100000); "
        f'open("{written}", "w").write(str(i))\''
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, url, "a", "--token-file", token,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1000,
    )  # fmt: skip
    first = await process.stdout.readexactly(1000)
    before = await settled(written)

    rest = await asyncio.wait_for(process.stdout.read(-1), 60)
    await process.wait()

    assert before < 500
    assert first + rest == b"".join(bytes([i % 251]) * 100_000 for i in range(640))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def settled(path: Path) -> int:
    """Return the number in a file when it has not changed for a while."""
    seen, since = -1, asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - since < 0.5:
        text = _text(path)
        if text and int(text) != seen:
            seen, since = int(text), asyncio.get_running_loop().time()
        await asyncio.sleep(0.02)
    return seen


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": "token forged"}, "forbidden"),
        ({"Origin": "https://evil.example"}, "origin-refused"),
        ({"Origin": "SELF"}, "origin-refused"),
    ],
)
async def test_strangers_and_web_pages_are_refused(
    speaking, api, jp_ws_fetch, jp_http_port, headers, code
):
    await speaking("cat")
    headers = {k: v.replace("SELF", f"http://127.0.0.1:{jp_http_port}") for k, v in headers.items()}

    with pytest.raises(HTTPClientError) as caught:
        await jp_ws_fetch("dlenv", "api", "environments", "a", "ssh", headers=headers)
    answer = await api.get("/environments/a/ssh", headers={**headers, "Upgrade": "websocket"})

    assert 403 == caught.value.code
    assert (403, code) == (answer.code, answer.error["code"])


async def test_why_there_is_no_stream_is_said_on_the_laptop(dlenv, launched, api, url, token):
    missing = await proxy(url, "--token-file", token)
    await launched("a")
    environment = await dlenv.environments().get("a")
    (Path(environment.runtime_dir) / "ssh-stream").unlink(missing_ok=True)
    without_sshd = await proxy(url, "--token-file", token)
    await api.post("/environments/a/stop")
    stopped = await proxy(url, "--token-file", token)
    forged = await proxy(url, JUPYTER_DLENV_TOKEN="forged")
    nobody = await proxy("http://127.0.0.1:1/", "--token-file", token)

    assert {1} == {code for code, _, _ in (missing, without_sshd, stopped, forged, nobody)}
    assert "There is no environment 'a'" in missing[2]
    assert "has no sshd" in without_sshd[2]
    assert "not running" in stopped[2]
    assert "ssh-proxy: Forbidden" in forged[2]
    assert "cannot be reached" in nobody[2]


async def test_the_token_comes_from_where_others_cannot_read_it(speaking, url, token, tmp_path):
    await speaking("cat")
    secret = token.read_text()
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}

    from_variable = await proxy(url, stdin=b"1", JUPYTER_DLENV_TOKEN=secret)
    from_program = await proxy(url, "--token-command", f"cat {token}", stdin=b"2")
    stored = await proxy(url, "--store-token", stdin=secret.encode() + b"\n", **home)
    from_store = await proxy(url, stdin=b"3", **home)
    (kept,) = (tmp_path / "config/jupyter_dlenv/tokens").iterdir()
    kept_mode = kept.stat().st_mode & 0o777
    kept.chmod(0o644)
    readable = await proxy(url, stdin=b"4", **home)
    in_url = await proxy(f"{url}?token={secret}")

    assert [(0, b"1", ""), (0, b"2", "")] == [from_variable, from_program]
    assert (0, (0, b"3", ""), 0o600) == (stored[0], from_store, kept_mode)
    assert (1, b"") == readable[:2]
    assert "chmod 600" in readable[2]
    assert "Leave the token out of the URL" in in_url[2]
    assert secret not in stored[2] + readable[2] + in_url[2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://h/", "wss://h/dlenv/api/environments/a/ssh"),
        ("https://h/user/me/lab/tree/x.ipynb", "wss://h/user/me/dlenv/api/environments/a/ssh"),
        ("https://h/user/m%40e", "wss://h/user/m%40e/dlenv/api/environments/a/ssh"),
        ("http://localhost:8888/lab?reset", "ws://localhost:8888/dlenv/api/environments/a/ssh"),
    ],
)
def test_the_url_of_a_browser_is_good_enough(given, expected):
    assert expected == ssh_proxy.socket_url(given, "a")


@pytest.mark.parametrize("given", ["http://h/", "ftp://h/", "h", "https://me:x@h/", "https:///x"])
def test_a_url_that_would_give_the_token_away_is_refused(given):
    with pytest.raises(ssh_proxy.ProxyError):
        ssh_proxy.socket_url(given, "a")


@pytest.fixture
def ssh_config(url, token, tmp_path):
    """Return a function that writes an ssh_config with other files than the right ones."""
    for name in ("host", "client", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    (tmp_path / "known").write_text("dlenv-a " + (tmp_path / "host.pub").read_text())
    (tmp_path / "changed").write_text("dlenv-a " + (tmp_path / "stranger.pub").read_text())
    (tmp_path / "sshd_config").write_text(SSHD_CONFIG.format(directory=tmp_path))

    def write(**changes):
        values = {
            "python": sys.executable,
            "script": SCRIPT,
            # A percent sign begins an abbreviation there.
            "url": url.replace("%", "%%"),
            "directory": tmp_path,
            "user": getpass.getuser(),
            "key": "client",
            "known": "known",
            **changes,
        }
        path = tmp_path / f"ssh_config-{values['key']}-{values['known']}"
        path.write_text(SSH_CONFIG.format(**values))
        return path

    return write


@pytest.fixture
def sshd(speaking, tmp_path):
    """Return a function that launches ``a`` with an SSH server."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    if not program:
        pytest.skip("This machine has no sshd.")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    return lambda: speaking(f"{program} -i -f {tmp_path}/sshd_config")


async def test_ssh_works_through_the_websocket(sshd, ssh_config, tmp_path):
    await sshd()
    content = random.Random(7).randbytes(3_000_000)
    (tmp_path / "sent").write_bytes(content)

    code, out, err = await run("ssh", "-F", ssh_config(), "a", "cat; exit 37", stdin=content)
    copied = await run("scp", "-q", "-F", ssh_config(), tmp_path / "sent", f"a:{tmp_path}/back")

    assert (37, content, "") == (code, out, err)
    assert (0, content) == (copied[0], (tmp_path / "back").read_bytes())


async def test_a_stranger_and_a_changed_server_are_refused_through_the_websocket(sshd, ssh_config):
    await sshd()

    stranger = await run("ssh", "-F", ssh_config(key="stranger"), "a", "true")
    changed = await run("ssh", "-F", ssh_config(known="changed"), "a", "true")

    assert (255, True) == (stranger[0], "Permission denied (publickey)" in stranger[2])
    assert (255, True) == (changed[0], "Host key verification failed" in changed[2])
