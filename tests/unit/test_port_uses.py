"""Guesses at services, and the one list of an environment's ports."""

from __future__ import annotations

import pytest

from jupyter_dlenv.access.forwards import Forward
from jupyter_dlenv.access.port_uses import port_uses
from jupyter_dlenv.access.services import guess
from jupyter_dlenv.models import PortMapping


@pytest.mark.parametrize(
    ("process", "command", "port", "expected"),
    [
        ("tensorboard", ["/usr/bin/python3", "/x/bin/tensorboard", "--logdir"], 1, "TensorBoard"),
        ("python3", ["python3", "-m", "tensorboard.main", "--logdir=x"], 6007, "TensorBoard"),
        ("mlflow", ["/usr/bin/python3", "/home/dlenv/.local/bin/mlflow", "ui"], 5000, "MLflow"),
        ("streamlit", ["/usr/bin/python", "/x/bin/streamlit", "run", "app.py"], 8502, "Streamlit"),
        ("python", ["python", "/x/site-packages/streamlit/__main__.py", "run"], 1, "Streamlit"),
        ("python3", ["python3", "-m", "vllm.entrypoints.openai.api_server"], 8000, "vLLM"),
        ("vllm", ["/usr/bin/python3", "/usr/local/bin/vllm", "serve", "m"], 8000, "vLLM"),
        ("jupyter-lab", ["/usr/bin/python3", "/usr/local/bin/jupyter-lab"], 8889, "JupyterLab"),
        ("python3", ["python3", "-m", "http.server", "8000"], 8000, "Web server"),
        ("uvicorn", ["/usr/bin/python3", "/usr/bin/uvicorn", "app:app"], 8000, "FastAPI"),
        ("sshd", ["sshd: /usr/sbin/sshd -D"], 22, "SSH"),
        ("ray-dashboard", ["ray::DashboardHead"], 8265, "Ray dashboard"),
        ("", [], 6006, "TensorBoard?"),
        ("python3", ["python3", "train.py", "--log", "tensorboard"], 12345, ""),
        ("python3", ["python3", "train.py"], 6006, ""),
        ("node", ["node", "server.js"], 3000, ""),
    ],
)  # fmt: skip
def test_a_service_is_guessed_from_what_runs(process, command, port, expected):
    assert expected == guess(process, command, port).name


def listener(port, address="127.0.0.1", name="python3", command=("python3", "app.py")):
    return {"port": port, "address": address, "name": name, "command": list(command)}


def test_each_port_stands_once_with_all_the_ways_to_it():
    uses = port_uses(
        [PortMapping(container_port=8888, host_port=18888), PortMapping(container_port=22)],
        [Forward(environment="a", port=6006, local_port=6007)],
        [listener(6006), listener(8888, "0.0.0.0"), listener(8888, "::1"), listener(9000)],
    )

    assert [22, 6006, 8888, 9000] == [u.port for u in uses]
    ssh, board, lab, other = uses
    assert (False, ("127.0.0.1:0",)) == (ssh.listening, ssh.published)
    assert (True, True, (6007,)) == (board.listening, board.loopback, board.forwarded)
    assert (False, ("127.0.0.1:18888",)) == (lab.loopback, lab.published)
    assert ("python3", (), ()) == (other.process, other.published, other.forwarded)


def test_of_an_environment_that_cannot_be_asked_nobody_knows_what_listens():
    (use,) = port_uses([PortMapping(container_port=22)], [], None)

    assert use.listening is None


def test_an_agent_that_lies_about_its_ports_breaks_nothing():
    lies = [{"port": "x"}, {"port": 99999}, {}, {"port": 5, "command": 7, "name": None}]

    (use,) = port_uses([], [], lies)

    assert (5, True) == (use.port, use.listening)
