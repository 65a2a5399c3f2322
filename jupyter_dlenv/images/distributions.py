"""How the families of Linux distributions fetch packages in a container, and install them later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

#: Where the parts are while they are installed.
PARTS = "/opt/dlenv/parts"
#: The packages shall leave no host key: all who have the image would share it.
_WITHOUT_HOST_KEYS = "set -e; {install}; rm -f /etc/ssh/ssh_host_*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A family of distributions that have the same packages.

    Attributes:
        members: What they call themselves in os-release.
        python: The package of a Python.
        python_path: Where that is afterwards.
        ssh: The packages of an SSH server, and of rsync, which goes through it.
        install: Installs all parts, without a network.
        install_server: The same, where a server is among them.
        script: Downloads packages; see the file of that name.
    """

    members: frozenset[str]
    python: str
    python_path: str
    ssh: str
    install: str
    install_server: str
    script: str

    def fetch_command(self) -> tuple[str, ...]:
        """Return the command that sends packages, which variables name, as an archive."""
        script = resources.files(__package__).joinpath(self.script).read_text(encoding="utf-8")
        return ("/bin/sh", "-c", script)


_APT = (
    "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
    f" -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 {PARTS}/*.deb"
)
#: The signatures were checked when they were downloaded.
_RPM = f"rpm --upgrade --replacepkgs {PARTS}/*.rpm"
#: What is installed from files is pinned to these very files in "world", which no later
#: `apk add` of the user could get around.
_APK = f"apk add --no-network --no-progress {PARTS}/*.apk && sed -i 's/><.*//' /etc/apk/world"

#: By the name of the family.
DISTRIBUTIONS = {
    "debian": Distribution(
        members=frozenset({"debian", "ubuntu"}),
        python="python3",
        python_path="/usr/bin/python3",
        ssh="openssh-server rsync",
        install=_APT,
        # The packages shall start no service either.
        install_server=(
            "set -e; policy=/usr/sbin/policy-rc.d; "
            "if [ ! -e $policy ]; then printf '#!/bin/sh\\nexit 101\\n' > $policy; "
            "chmod +x $policy; made=$policy; fi; "
            f"{_APT}; rm -f ${{made-}} /etc/ssh/ssh_host_*"
        ),
        script="fetch-debs.sh",
    ),
    "redhat": Distribution(
        members=frozenset({"rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"}),
        python="python3",
        python_path="/usr/bin/python3",
        ssh="openssh-server rsync",
        install=_RPM,
        install_server=_WITHOUT_HOST_KEYS.format(install=_RPM),
        script="fetch-rpms-dnf.sh",
    ),
    "suse": Distribution(
        members=frozenset({"suse", "opensuse", "sles", "sled"}),
        # What is called python3 in Leap and SLE 15 is 3.6.
        python="python311",
        python_path="/usr/bin/python3.11",
        ssh="openssh-server rsync",
        install=_RPM,
        install_server=_WITHOUT_HOST_KEYS.format(install=_RPM),
        script="fetch-rpms-zypper.sh",
    ),
    "alpine": Distribution(
        members=frozenset({"alpine"}),
        python="python3",
        python_path="/usr/bin/python3",
        ssh="openssh-server rsync",
        install=_APK,
        install_server=_WITHOUT_HOST_KEYS.format(install=_APK),
        script="fetch-apks.sh",
    ),
}


def family_of(names: Iterable[str]) -> str:
    """Return the family of a system by ID and ID_LIKE of its os-release, or else its ID."""
    said = list(names)
    for family, distribution in DISTRIBUTIONS.items():
        if distribution.members & set(said):
            return family
    return said[0] if said else ""
