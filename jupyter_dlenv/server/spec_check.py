"""What would be wrong with a launch, field by field, before anybody launches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DlenvError, InvalidSpecError, NameTakenError, NotAllowedError
from ..models import EnvironmentSpec

#: Valid by themselves, so that each other field is judged alone.
_BLAMELESS = {"name": "x", "image": "x"}
#: Rules of the policy by the field that breaks them.
_RULES = {
    "allowed_images": "image",
    "allowed_users": "user",
    "allowed_mounts": "mounts",
    "allowed_bind_addresses": "ports",
    "allowed_host_ports": "ports",
    "max_gpus": "gpus",
}


def invalid_fields(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a problem for each field of a request that is wrong by itself."""
    problems = []
    for field, value in {**dict.fromkeys(_BLAMELESS, ""), **body}.items():
        try:
            EnvironmentSpec.from_json({**_BLAMELESS, field: value})
        except InvalidSpecError as error:
            problems.append(problem(error, field))
    return problems


def problem(error: DlenvError, field: str = "") -> dict[str, Any]:
    """Return a problem as it is sent: the error, and the field that it is about."""
    return {"field": field or _field_of(error), **error.to_json()}


def _field_of(error: DlenvError) -> str:
    """Return the field that a whole request is refused for, or empty if it is none alone."""
    if isinstance(error, NameTakenError):
        return "name"
    if isinstance(error, NotAllowedError):
        return next((f for rule, f in _RULES.items() if f"(rule {rule})" in str(error)), "")
    return {"mount-missing": "mounts", "image-not-found": "image"}.get(error.code, "")
