"""What SSH is used for, one function each, against whatever a client's configuration leads to.

Every function raises ``AssertionError`` with what ssh said; none may be asked anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

LIMIT = 60
_CONTENT = os.urandom(300_000)
#: Answers one line to whoever connects; runs inside, on loopback.
_SERVER = """
import socketserver, sys
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"inside:" + self.rfile.readline())
path = sys.argv[1]
kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
with kind(path or ("127.0.0.1", 0), Answer) as server:
    print(path or server.server_address[1], flush=True)
    server.serve_forever()
"""


class Client:
    """The programs of OpenSSH with one configuration file and one host of it."""

    def __init__(self, config: Path, host: str, scratch: Path) -> None:
        self.config = config
        self.host = host
        self.scratch = scratch

    def run(self, *words: str, options: tuple[str, ...] = (), **arguments) -> bytes:
        """Run a command there; return its output."""
        done = self.try_to(*words, options=options, **arguments)
        assert not done.returncode, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def try_to(self, *words: str, options: tuple[str, ...] = (), stdin: bytes = b"", env=None):
        command = ["ssh", "-F", str(self.config), "-o", "BatchMode=yes", *options, self.host]
        return subprocess.run(
            [*command, *words], input=stdin, capture_output=True, timeout=LIMIT, env=env
        )

    @contextlib.contextmanager
    def tunnel(self, *options: str, ready: str = "") -> Iterator[None]:
        """Hold a forward; it is set up when the command that goes with it has printed a line."""
        command = ["ssh", "-F", str(self.config), "-o", "ExitOnForwardFailure=yes", *options]
        process = subprocess.Popen(
            [*command, self.host, ready or "echo up; cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert process.stdout.readline().strip() == b"up", process.stderr.read()
            yield
        finally:
            process.kill()
            process.communicate()

    @contextlib.contextmanager
    def server(self, path: str = "") -> Iterator[str]:
        """Run a server inside, on loopback or on a unix socket; yield where it listens."""
        command = ["ssh", "-tt", "-F", str(self.config), self.host]
        # With a terminal, so that it ends with the connection.
        process = subprocess.Popen(
            [*command, f"python3 -c '{_SERVER}' '{path}'"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()
            process.communicate()


def battery(client: Client) -> None:
    """Everything that people do with SSH."""
    for check in (*SHORT, *LONG):
        check(client)


def commands_and_exit_codes(client: Client) -> None:
    assert client.run("cat", stdin=b"a\0b\n") == b"a\0b\n"
    assert client.try_to("exit 37").returncode == 37


def a_terminal(client: Client) -> None:
    assert b"a terminal" in client.run("tty -s && echo a terminal", options=("-tt",))


def scp_and_sftp(client: Client) -> None:
    sent, back = client.scratch / "sent", client.scratch / "back"
    sent.write_bytes(_CONTENT)
    _run("scp", "-q", "-F", client.config, sent, f"{client.host}:by-scp")
    _run("scp", "-q", "-F", client.config, f"{client.host}:by-scp", back)
    assert back.read_bytes() == _CONTENT
    _run("sftp", "-q", "-F", client.config, "-b", "-", client.host, stdin=f"put {sent} by-sftp\n")
    assert client.run("cmp by-scp by-sftp && echo same") == b"same\n"


def rsync(client: Client) -> None:
    tree = client.scratch / "tree"
    (tree / "a b").mkdir(parents=True, exist_ok=True)
    (tree / "a b" / "content").write_bytes(_CONTENT)
    shell = f"ssh -F {client.config}"
    _run("rsync", "-a", "-e", shell, f"{tree}/", f"{client.host}:by-rsync/")
    (tree / "a b" / "more").write_text("more")
    _run("rsync", "-a", "-e", shell, f"{tree}/", f"{client.host}:by-rsync/")
    assert client.run("cat 'by-rsync/a b/more'") == b"more"


def local_forward(client: Client) -> None:
    port = free_port()
    with client.server() as there, client.tunnel("-L", f"127.0.0.1:{port}:127.0.0.1:{there}"):
        assert _ask(("127.0.0.1", port)) == b"inside:hello\n"


def dynamic_forward(client: Client) -> None:
    port = free_port()
    with client.server() as there, client.tunnel("-D", f"127.0.0.1:{port}"):
        assert _ask(("127.0.0.1", port), socks=int(there)) == b"inside:hello\n"


def remote_forward(client: Client) -> None:
    with _answering() as port:
        there = 20_000 + port % 20_000
        with client.tunnel("-R", f"127.0.0.1:{there}:127.0.0.1:{port}"):
            ask = (
                f"import socket; s=socket.create_connection(('127.0.0.1',{there}),9);"
                "s.sendall(b'hi\\n'); print(s.makefile().readline())"
            )
            assert client.run(f'python3 -c "{ask}"').strip() == b"outside:hi"


def unix_forward(client: Client) -> None:
    here = client.scratch / f"s{uuid.uuid4().hex[:8]}"
    there = f"/tmp/{here.name}"
    with client.server(there), client.tunnel("-L", f"{here}:{there}"):
        assert _ask(str(here)) == b"inside:hello\n"


def agent_forwarding(client: Client) -> None:
    with _ssh_agent(client.scratch) as (env, key):
        listed = client.run("ssh-add -L || true", options=("-A",), env=env)
        # Where there is no client inside, the socket that the agent is behind has to do.
        found = client.run('test -S "$SSH_AUTH_SOCK" && echo agent', options=("-A",), env=env)
        without = client.try_to('test -S "$SSH_AUTH_SOCK"', env=env)
    assert found == b"agent\n"
    assert not listed or key in listed.decode()
    assert without.returncode


SHORT = (commands_and_exit_codes, a_terminal, scp_and_sftp, local_forward)
LONG = (rsync, dynamic_forward, remote_forward, unix_forward, agent_forwarding)


@contextlib.contextmanager
def plain_sshd(scratch: Path, authorized: str) -> Iterator[int]:
    """Run an ordinary sshd on loopback, as whoever runs the tests; yield its port."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert program, "There is no sshd on this machine: python -m rig.tools ssh"
    key = scratch / "plain-host-key"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    (scratch / "plain-authorized").write_text(authorized)
    port = free_port()
    config = scratch / "plain-sshd"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {scratch / 'plain-authorized'}\nStrictModes no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (scratch / "plain-sshd.log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=log)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (scratch / "plain-known").write_text(f"[127.0.0.1]:{port} {public}\n")
    try:
        until_listening(port)
        yield port
    finally:
        process.terminate()
        process.wait(LIMIT)


def laptop_settings(scratch: Path, port: int, user: str) -> str:
    """Return what a laptop's own configuration has: its key, and the host ``gpuhost``."""
    return (
        f"Host *\n  IdentityFile {scratch / 'laptop'}\n  BatchMode yes\n"
        f"Host gpuhost\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n"
        f"  UserKnownHostsFile {scratch / 'plain-known'}\n"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_listening(port: int) -> None:
    end = time.monotonic() + LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            assert time.monotonic() < end, f"nothing listens on {port}"
            time.sleep(0.05)


def make_key(path: Path) -> str:
    """Make a key without a passphrase; return the public one."""
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path)
    return path.with_suffix(".pub").read_text().strip()


def _run(*command, stdin: str = "") -> None:
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=LIMIT
    )
    assert not done.returncode, (command, done.stdout, done.stderr)


def _ask(address, socks: int = 0) -> bytes:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as asking:
        asking.settimeout(LIMIT)
        asking.connect(address)
        answers = asking.makefile("rb")
        if socks:
            asking.sendall(b"\x05\x01\x00")
            assert answers.read(2) == b"\x05\x00"
            asking.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + socks.to_bytes(2, "big"))
            assert answers.read(10)[1] == 0
        asking.sendall(b"hello\n")
        return answers.readline()


@contextlib.contextmanager
def _answering() -> Iterator[int]:
    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"outside:" + self.rfile.readline())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _ssh_agent(scratch: Path) -> Iterator[tuple[dict[str, str], str]]:
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        public = make_key(Path(directory) / "lent")
        path = f"{directory}/agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + LIMIT
            while not Path(path).exists():
                assert time.monotonic() < end
                time.sleep(0.02)
            env = {**os.environ, "SSH_AUTH_SOCK": path}
            adding = ["ssh-add", "-q", f"{directory}/lent"]
            subprocess.run(adding, env=env, check=True, timeout=LIMIT, capture_output=True)
            yield env, public.split()[1]
        finally:
            agent.terminate()
            agent.wait(LIMIT)
