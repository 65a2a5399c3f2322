"""Gives a second engine its own bridge and firewall rules, and removes what engines leave."""

from __future__ import annotations

import re
from pathlib import Path

from .profiles import Profile
from .shell import quietly, run


def make(profile: Profile) -> None:
    """Make the bridge of a second engine and let its packets pass."""
    run("ip", "link", "add", profile.bridge, "type", "bridge")
    gateway = profile.subnet.replace(".0/24", ".1/24")
    run("ip", "addr", "add", gateway, "dev", profile.bridge)
    run("ip", "link", "set", profile.bridge, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for table, *rule in _rules(profile):
        run("iptables", "-w", "-t", table, "-I", *rule)


def remove(profile: Profile, bridges: list[str]) -> None:
    """Remove the rules that were made for an engine or by it, and its bridges."""
    if profile.number:
        for table, *rule in _rules(profile):
            quietly("iptables", "-w", "-t", table, "-D", *rule)
    else:
        _remove_docker_rules()
    for bridge in bridges:
        if Path(f"/sys/class/net/{bridge}").exists():
            run("ip", "link", "del", bridge)


def _rules(profile: Profile) -> list[list[str]]:
    bridge = profile.bridge
    return [
        ["nat", "POSTROUTING", "-s", profile.subnet, "!", "-o", bridge, "-j", "MASQUERADE"],
        ["filter", "FORWARD", "-i", bridge, "-j", "ACCEPT"],
        ["filter", "FORWARD", "-o", bridge, "-j", "ACCEPT"],
    ]


def _remove_docker_rules() -> None:
    """Remove the chains and rules that Docker leaves behind when it ends."""
    for table in ("raw", "filter", "nat"):
        for save, command in (("iptables-save", "iptables"), ("ip6tables-save", "ip6tables")):
            saved = quietly(save, "-t", table)
            # Rules first, then chains: a chain that is still referred to cannot be deleted.
            for rule in re.findall(
                r"^-A (.*\b(?:DOCKER|docker0|br-[0-9a-f]{12})\b.*)$", saved, re.MULTILINE
            ):
                quietly(command, "-w", "-t", table, "-D", *rule.split())
            chains = re.findall(r"^:(DOCKER\S*)", saved, re.MULTILINE)
            for option in ("-F", "-X"):
                for chain in chains:
                    quietly(command, "-w", "-t", table, option, chain)
            if chains and table == "filter":
                # Docker sets DROP on a machine that did not forward before.
                quietly(command, "-w", "-P", "FORWARD", "ACCEPT")
