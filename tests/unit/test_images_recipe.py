"""The Dockerfile that adds a kernel can be read, and changes nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace

import pytest

from jupyter_dlenv.engines.base import ImageFacts
from jupyter_dlenv.errors import ImageUnsupportedError
from jupyter_dlenv.images.distributions import DISTRIBUTIONS
from jupyter_dlenv.images.probe import ImageProbe
from jupyter_dlenv.images.recipe import Sshd, dockerfile, packages, prepared_tag

IMAGE = ImageFacts(id="sha256:0a0a", tags=("team/image:1",))
WITH_PIP = ImageProbe(image_id=IMAGE.id, python="/opt/my python/bin/python", pip="25.0")
WITHOUT_PIP = ImageProbe(image_id=IMAGE.id, python="/usr/bin/python3")
WITHOUT_PYTHON = ImageProbe(image_id=IMAGE.id, os_family="debian")
#: By the family: what installs the parts, and the Python that is there then.
INSTALL = {
    "debian": ("apt-get install ", "*.deb", "/usr/bin/python3 "),
    "redhat": ("rpm --upgrade ", "*.rpm", "/usr/bin/python3 "),
    "suse": ("rpm --upgrade ", "*.rpm", "/usr/bin/python3.11 "),
    "alpine": ("apk add --no-network ", "*.apk", "/usr/bin/python3 "),
}


def commands(text):
    lines = [line.partition(" ")[2] for line in text.splitlines() if line.startswith("RUN ")]
    return [json.loads(line)[2] for line in lines]


def test_the_kernel_is_installed_with_the_image_s_own_pip_and_no_index():
    text = dockerfile(IMAGE, WITH_PIP)

    assert text.startswith("# Adds a Jupyter kernel to team/image:1.")
    assert "FROM sha256:0a0a" in text
    install, clean = commands(text)
    assert "'/opt/my python/bin/python' -m pip --isolated install --no-index" in install
    assert install.endswith(" ipykernel")
    assert "rm -rf /opt/dlenv/parts" == clean
    assert not any(line.startswith("USER") for line in text.splitlines())


def test_an_image_without_pip_gets_one():
    install, _ = commands(dockerfile(IMAGE, WITHOUT_PIP))

    assert "/usr/bin/python3 $(echo /opt/dlenv/parts/pip-*.whl)/pip --isolated install" in install
    assert install.endswith(" ipykernel pip")
    assert ("ipykernel", "pip") == packages(WITHOUT_PIP)
    assert ("ipykernel",) == packages(WITH_PIP)


@pytest.mark.parametrize("family", DISTRIBUTIONS)
def test_an_image_without_python_gets_that_of_its_distribution_first(family):
    program, parts, python = INSTALL[family]

    system, wheels, clean = commands(dockerfile(IMAGE, replace(WITHOUT_PYTHON, os_family=family)))

    assert program in system
    assert f"/opt/dlenv/parts/{parts}" in system
    assert f" {python}" in wheels
    assert "rm -rf /opt/dlenv/parts" == clean


@pytest.mark.parametrize("family", DISTRIBUTIONS)
def test_a_server_of_the_distribution_comes_without_host_keys_and_without_a_network(family):
    program, parts, _ = INSTALL[family]
    probe = replace(WITH_PIP, os_family=family, ipykernel="7.4.0")

    text = dockerfile(IMAGE, probe, sshd=Sshd.PACKAGES)

    server, _ = commands(text)
    assert text.startswith("# Adds an SSH server to team/image:1.")
    assert program in server
    assert parts in server
    assert server.endswith("/etc/ssh/ssh_host_*")
    assert not re.search("https?:|apt-get update|dnf|zypper|apk update", text)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_what_fetches_packages_is_correct_shell(distribution):
    *shell, script = distribution.fetch_command()

    subprocess.run([shell[0], "-n", "-c", script], check=True, timeout=10)


def test_pins_and_settings_of_the_image_are_switched_off_for_that_step_only():
    text = dockerfile(IMAGE, WITH_PIP)

    assert "PIP_CONFIG_FILE=/dev/null " in commands(text)[0]
    assert " --isolated " in commands(text)[0]
    assert not any(line.startswith(("ENV", "ARG", "SHELL")) for line in text.splitlines())


@pytest.mark.parametrize(
    ("version", "told"), [("", True), ("25.0", True), ("23.0.1", True), ("23.0", False)]
)
def test_only_a_pip_that_minds_is_told_to_install_beside_the_distribution(version, told):
    probe = replace(WITH_PIP, pip=version)

    assert told == (" --break-system-packages" in commands(dockerfile(IMAGE, probe))[0])


@pytest.mark.parametrize("user", ["ubuntu", "1000", "1000:100", "jovyan:users"])
def test_the_user_of_the_image_is_restored(user):
    lines = dockerfile(ImageFacts(id="sha256:0a0a", user=user), WITH_PIP).splitlines()

    assert "USER root" == lines[2]
    assert f"USER {user}" == lines[-1]


@pytest.mark.parametrize("user", ["a b", "a\nRUN id", "$USER", ":1"])
def test_a_user_that_would_change_the_dockerfile_is_refused(user):
    with pytest.raises(ImageUnsupportedError):
        dockerfile(ImageFacts(id="sha256:0a0a", user=user), WITH_PIP)


@pytest.mark.parametrize("family", DISTRIBUTIONS)
@pytest.mark.parametrize("probe", [WITH_PIP, WITHOUT_PIP, WITHOUT_PYTHON])
def test_every_command_is_correct_shell(probe, family):
    probe = replace(probe, os_family=family)
    for command in commands(dockerfile(IMAGE, probe, sshd=Sshd.PACKAGES)):
        subprocess.run(["/bin/sh", "-n", "-c", command], check=True, timeout=10)


def test_the_tag_depends_on_the_image_alone():
    assert prepared_tag("sha256:a") == prepared_tag("sha256:a")
    assert prepared_tag("sha256:a") != prepared_tag("sha256:b")
    assert prepared_tag("sha256:a").startswith("dlenv/prepared:")
