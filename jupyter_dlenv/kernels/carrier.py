"""Variables carried between this process and a kernel of an environment, as buffers of a comm."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any

from ..errors import NotCarriedError
from . import portable
from .dialogue import Dialogue, Message

# What runs inside.  It answers on the comm, so nothing of it is seen in the notebook.
_RECEIVER = """
def _dlenv_carrier(source, shell):
    import types
    portable = types.ModuleType("dlenv_portable")
    exec(compile(source, "dlenv_portable.py", "exec"), portable.__dict__)

    def deal(comm, message):
        data, buffers = message["content"]["data"], message.get("buffers") or []
        try:
            if data["do"] == "put":
                for name in data["names"]:
                    count = data["counts"].pop(0)
                    shell.user_ns[name] = portable.decode(buffers[:count], pickled=True)
                    buffers = buffers[count:]
                comm.send({"ok": True})
            else:
                counts, out = [], []
                for name in data["names"]:
                    if name not in shell.user_ns:
                        raise NameError("name %r is not defined" % name)
                    parts = portable.encode(shell.user_ns[name], pickled=data["pickled"])
                    counts.append(len(parts))
                    out.extend(parts)
                comm.send({"ok": True, "counts": counts}, buffers=out)
        except Exception as error:
            comm.send({"ok": False, "error": "%s: %s" % (type(error).__name__, error)})

    def opened(comm, message):
        comm.on_msg(lambda message: deal(comm, message))

    shell.kernel.comm_manager.register_target("dlenv", opened)
"""


class Carrier:
    """Puts variables into a kernel and gets them out."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._comm = uuid.uuid4().hex
        source = (resources.files(__package__) / "portable.py").read_text(encoding="utf-8")
        code = f"{_RECEIVER}\n_dlenv_carrier({source!r}, get_ipython()); del _dlenv_carrier"
        dialogue.execute(code, hear=_nobody, silent=True)
        opening = {"comm_id": self._comm, "target_name": "dlenv", "data": {}}
        dialogue.send_comm("comm_open", opening)

    def put(self, values: Mapping[str, Any], *, pickled: bool = False) -> None:
        """Set variables.

        Raises:
            NotCarriedError
        """
        counts, buffers = [], []
        for name, value in values.items():
            try:
                parts = portable.encode(value, pickled=pickled)
            except Exception as error:
                # Whatever a value of the user's does when it is pickled.
                raise NotCarriedError(
                    f"{name} cannot be taken along.", detail=str(error)
                ) from error
            counts.append(len(parts))
            buffers += parts
        self._ask({"do": "put", "names": list(values), "counts": counts}, buffers)

    def get(self, names: Collection[str], *, pickled: bool = False) -> dict[str, Any]:
        """Return variables.

        Args:
            pickled: Trust the environment: unpickling runs what it wants.

        Raises:
            NotCarriedError
        """
        message = self._ask({"do": "get", "names": list(names), "pickled": pickled}, [])
        buffers = list(message["buffers"])
        counts = message["content"]["data"].get("counts")
        values = {}
        try:
            for name, count in zip(names, counts, strict=True):
                values[name] = portable.decode(buffers[: int(count)], pickled=pickled)
                buffers = buffers[int(count) :]
        except (ValueError, TypeError, ImportError) as error:
            raise NotCarriedError(f"{name} cannot be read.", detail=str(error)) from error
        return values

    def _ask(self, data: dict[str, Any], buffers: list[Any]) -> Message:
        content = {"comm_id": self._comm, "data": data}
        for message in self._dialogue.send_comm("comm_msg", content, buffers):
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self._comm:
                answer = message["content"]["data"]
                if not answer.get("ok"):
                    names = ", ".join(data["names"])
                    raise NotCarriedError(
                        f"The environment could not take or give {names}.",
                        detail=str(answer.get("error", "")),
                    )
                return message
        raise NotCarriedError("The environment did not answer.")


def _nobody(_: Message) -> None:
    pass
