"""Every sentence that the server can say to a page is in every language, and said safely."""

# ruff: noqa: RUF001 Chinese has its own punctuation.

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rig import prose

from jupyter_dlenv.server.templates import Sentences
from jupyter_dlenv.server.translation import in_language, sentences_for

CATALOGUES = sorted((prose.PACKAGE / "server/sentences").glob("*.json"))
#: Said in the details of findings and failures only, which nobody translates; or no sentences.
UNTRANSLATED = frozenset(
    {
        "A token for strangers is answered with {0}.",
        "An answer is larger than {0} bytes.",
        "GET {0} is answered with {1}.",
        "It answers 401 without a challenge.",
        "It does not answer in time.",
        "It knows none.",
        "It knows {0}.",
        "Redirected to {0}.",
        "Redirected too often.",
        "The module that is loaded is {0}.",
        "Tokens are said to be at {0}.",
        "{0} GB are left in {1}.",
        # In a Dockerfile, in the name of an image, and among what programs are told.
        "a Jupyter kernel",
        "an SSH server",
        "{0} {1} sshd",
        "all",
        "pid",
        "prefix",
        "python3",
    }
)


def read(catalogue: Path) -> dict[str, str]:
    return json.loads(catalogue.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def chinese() -> Sentences:
    sentences = sentences_for("zh-CN")
    assert sentences is not None
    return sentences


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
def test_every_sentence_that_a_page_can_be_sent_is_translated(catalogue: Path) -> None:
    said, known = prose.sentences(), read(catalogue)

    missing = {t: where for t, where in said.items() if t not in {*known, *UNTRANSLATED}}

    assert not missing
    assert set(said) >= UNTRANSLATED


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_has_nothing_that_is_not_said_and_keeps_what_is_filled_in(
    catalogue: Path,
) -> None:
    said = {*prose.sentences(), *prose.literals()}
    code, command = re.compile(r"\{(\d)[sdw]?\}"), re.compile(r"`[^`]+`")

    for english, other in read(catalogue).items():
        assert english in said
        assert set(code.findall(english)) == set(code.findall(other)), english
        # What somebody types is the same in every language.
        assert set(command.findall(english)) <= set(command.findall(other)), english
        assert "}{" not in english, english


@pytest.mark.parametrize(
    ("english", "other"),
    [
        ("There is no environment 'bert'.", "没有名为 'bert' 的环境。"),
        # Several sentences, of which one is unknown.
        (
            "There is no GPU on this machine. Blame Bob. Launch with --gpus 0.",
            "本机没有 GPU。Blame Bob. 请用 --gpus 0 启动。",
        ),
        # Words within a sentence, and lists of them.
        ("2 processes of bob, 1 process", "bob 的 2 个进程，1 个进程"),
        (
            "Waiting in line for 2 GPUs: place 1 of 3",
            "正在排队等待 2 个 GPU：第 1 位，共 3 位",
        ),
        (
            "The engine cannot reach the registry of a/b: trying again in 5 s",
            "引擎无法访问 a/b 的镜像仓库：5 秒后重试",
        ),
        ("/home/b/dlenv.toml:3: 'q' is not a mount.", "/home/b/dlenv.toml:3: 'q' 不是挂载。"),
        # Between Chinese and Latin there is a space, and else none.
        (
            "Port 80 of this machine is used by a process of another user.",
            "本机端口 80 正被其他用户的进程使用。",
        ),
        (
            "Port 80 of this machine is used by nginx (process 7).",
            "本机端口 80 正被 nginx（进程 7）使用。",
        ),
        # Of two templates that fit, the one that says more.
        ("2 GPUs are wanted, none are free.", "需要 2 个 GPU，没有空闲的。"),
    ],
)
def test_a_sentence_is_said_in_chinese(chinese: Sentences, english: str, other: str) -> None:
    assert chinese.say(english) == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Host dlenv-a\n  HostName b. C\n\n  # There is no GPU on this machine!",
        "nvidia-smi: command not found",
        "x" * 10_000,
        # Would take for ever in a search that goes back.
        ": " * 1900,
        "There is no " * 300,
    ],
)
def test_what_is_not_known_stays_as_it_is(chinese: Sentences, text: str) -> None:
    assert chinese.say(text) == text


def test_what_others_wrote_is_passed_on_as_it_is() -> None:
    sentences = Sentences("x", {"idle": "ledig", "No {0}, {1}.": "{1} utan {0}.", "{0}!": "{0s}?"})

    # Neither words of ours nor holes mean anything in a name.
    assert sentences.say("No idle, {0}{1s}\\1.") == "{0}{1s}\\1 utan idle."
    assert sentences.say("idle!") == "ledig?"


def test_only_our_own_sentences_in_an_answer_are_translated(chinese: Sentences) -> None:
    answer = {
        "name": "Ready",
        "message": "Ready",
        "detail": "Ready",
        "spec": {"env": {"message": "Ready"}},
        "remarks": [{"code": "disk", "text": "The engine's disk is full."}],
        "blocks": [{"text": "Ready", "remark": "Remove some files."}],
        "notes": ["Remove some files."],
        "sum": 1,
    }

    assert in_language(chinese, answer) == answer | {
        "message": "就绪",
        "remarks": [{"code": "disk", "text": "引擎的磁盘已满。"}],
        "blocks": [{"text": "Ready", "remark": "请移除一些文件。"}],
        "notes": ["请移除一些文件。"],
    }


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", None),
        ("en", None),
        ("zh-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN, en;q=0.8", "zh-CN"),
        ("en;q=0.5, zh-cn;q=0.9", "zh-CN"),
        ("en-US, zh-CN;q=0.9", None),
        # Other characters and other words.
        ("zh-TW, zh;q=0.9", None),
        ("*;q=much, ;;, zh-CN;q=-1", None),
    ],
)
def test_the_language_is_the_one_that_is_wanted_most(header: str, language: str | None) -> None:
    sentences = sentences_for(header)

    assert (sentences.language if sentences else None) == language
