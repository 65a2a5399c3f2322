"""Which service a listening process probably is, guessed from its name, command and port."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    #: Matched against the process, its program, its script and its module.
    words: str = ""
    #: The port that the service takes unless told otherwise.
    port: int = 0
    #: Whether a browser can show it.
    web: bool = True


#: The first whose words fit is the guess; else the first whose port does.
_SERVICES = (
    _Service("SSH", r"sshd", 22, web=False),
    _Service("TensorBoard", r"tensorboard(\.main)?", 6006),
    _Service("JupyterLab", r"jupyter-?(lab|labhub|notebook|server)|jupyter|jupyterlab", 8888),
    _Service("MLflow", r"mlflow", 5000),
    _Service("Gradio", r"gradio", 7860),
    _Service("Streamlit", r"streamlit", 8501),
    _Service("Ray dashboard", r"ray(::.*|-.*)?|dashboard\.py|gcs_server|raylet", 8265),
    _Service("vLLM", r"vllm(\..*)?", 8000),
    _Service("SGLang", r"sglang(\..*)?", 30000),
    _Service("Triton", r"tritonserver", 8000),
    _Service("Ollama", r"ollama", 11434),
    _Service("llama.cpp", r"llama-server", 8080),
    _Service("TorchServe", r"torchserve|.*model-server.*", 8080),
    _Service("TensorFlow Serving", r"tensorflow_model_server", 8501),
    _Service("Dask dashboard", r"dask(-scheduler|-worker)?", 8787),
    _Service("Aim", r"aim", 43800),
    _Service("Label Studio", r"label-studio", 8080),
    _Service("code-server", r"code-server|openvscode-server|\.vscode-server.*", 8080),
    _Service("RStudio", r"rserver", 8787),
    _Service("Flask", r"flask"),
    _Service("FastAPI", r"uvicorn|fastapi|hypercorn"),
    _Service("Gunicorn", r"gunicorn"),
    _Service("Web server", r"http\.server|nginx|caddy|httpd|apache2"),
    _Service("PostgreSQL", r"postgres", 5432, web=False),
    _Service("Redis", r"redis-server", 6379, web=False),
    _Service("MongoDB", r"mongod", 27017, web=False),
    _Service("debugpy", r"debugpy(\..*)?", 5678, web=False),
    # PyTorch's rendezvous, which looks like a service and is none.
    _Service("torchrun", r"torchrun|torch\.distributed\..*", 29500, web=False),
)
_INTERPRETER = re.compile(r"(python|pypy|node|bash|sh|uv|conda|run)[\d.]*\Z")


@dataclass(frozen=True, slots=True)
class Guess:
    """A service by name, or empty; ``web`` tells whether a browser can probably show it."""

    name: str
    web: bool


def guess(process: str, command: Sequence[str], port: int) -> Guess:
    """Return what probably listens on a port.

    Args:
        process: The name of the process, 15 characters at most.
        command: Its arguments, the program first.
    """
    words = list(_telling(process, command))
    for service in _SERVICES:
        if any(re.fullmatch(service.words, word, re.IGNORECASE) for word in words):
            return Guess(service.name, service.web)
    for service in _SERVICES:
        if port == service.port and not command[1:]:
            return Guess(f"{service.name}?", service.web)
    return Guess("", web=True)


def _telling(process: str, command: Sequence[str]) -> list[str]:
    """Return the words that name what runs: the process, its program, script or module."""
    words = [process]
    for argument in command:
        name = posixpath.basename(argument)
        if argument.startswith("-") or _INTERPRETER.match(name):
            continue
        # `python /…/site-packages/streamlit/__main__.py` is what `python -m streamlit` becomes.
        package = re.search(r"site-packages/([\w-]+)/", argument)
        words += [name, package[1]] if package else [name]
        # What follows are the user's own arguments.
        break
    return words
