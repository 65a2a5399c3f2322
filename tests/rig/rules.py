"""The rules of an administrator, each with a wish that breaks it, for tests of every door."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A rule, and what it refuses.

    Attributes:
        wish: As a request of the REST API or a dlenv.toml has it.
        options: As the command line has it.
        stands: It is about what an environment is, and not about how many there are.
        unlimited: The value that allows everything.
    """

    name: str
    value: Any
    wish: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    stands: bool = False
    unlimited: Any = ("*",)

    def __str__(self) -> str:
        return self.name


RULES = [
    Rule("allowed_images", ["corp/*"], stands=True),
    Rule(
        "allowed_mounts", ["/data/*"], {"mounts": ["/etc:/etc2"]}, ("--mount", "/etc:/etc2"), True
    ),
    Rule("allowed_users", ["caller"], {"user": "root"}, ("--user", "root"), True),
    Rule(
        "allowed_bind_addresses",
        ["127.*"],
        {"ports": ["0.0.0.0:7777:80"]},
        ("--publish", "0.0.0.0:7777:80"),
    ),
    Rule(
        "allowed_host_ports",
        [7000, 7999],
        {"ports": ["127.0.0.1:9000:80"]},
        ("--publish", "127.0.0.1:9000:80"),
        unlimited=(1, 65535),
    ),
    Rule("max_gpus", 0, {"gpus": 1}, ("--gpus", "1"), unlimited=-1),
    Rule("max_environments", 0, unlimited=-1),
    Rule("max_idle_minutes", 60.0, {"idle_stop": 61.0}, ("--idle-stop", "61"), unlimited=-1.0),
    Rule("allowed_engines", ["docker"]),
]
