"""``%dlenv use``: a notebook moves to the kernel of an environment, under a real server."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from .client import Kernel


@pytest.fixture
def seen(configuration, jp_config_dir, jp_serverapp, jp_http_port, jp_base_url):
    """Let kernels see what the server sees, and find the server as it lets itself be found."""
    file = jp_config_dir / "jupyter_dlenv_config.json"
    file.write_text(json.dumps({"Configuration": configuration}))
    info = {
        "pid": os.getpid(),
        "url": f"http://127.0.0.1:{jp_http_port}{jp_base_url}",
        "token": jp_serverapp.identity_provider.token,
    }
    directory = Path(jp_serverapp.runtime_dir)
    # Beside one of a server that is gone, and one that is no such file at all.
    (directory / "jpserver-1.json").write_text(json.dumps({**info, "pid": 2**22 - 1}))
    (directory / "jpserver-2.json").write_text("nonsense")
    (directory / f"jpserver-{os.getpid()}.json").write_text(json.dumps(info))


async def eventually(ask, is_right, what: str):
    """Return the first answer that is right."""
    for _ in range(300):
        answer = await ask()
        if is_right(answer):
            return answer
        await asyncio.sleep(0.1)
    raise TimeoutError(what)


@pytest.mark.timeout(120)
async def test_a_notebook_goes_on_in_the_environment_with_its_variables(
    seen, launched, jp_fetch, jp_ws_fetch
):
    await launched("bert")
    described = {"path": "n.ipynb", "name": "n.ipynb", "type": "notebook"}
    body = json.dumps({**described, "kernel": {"name": "python3"}})
    session = json.loads((await jp_fetch("api", "sessions", method="POST", body=body)).body)

    async def kernel_of_the_notebook() -> Kernel:
        model = json.loads((await jp_fetch("api", "sessions", session["id"])).body)
        socket = await jp_ws_fetch("api", "kernels", model["kernel"]["id"], "channels")
        return Kernel(model["kernel"]["id"], jp_fetch, socket)

    async def kernels() -> list[str]:
        return [k["id"] for k in json.loads((await jp_fetch("api", "kernels")).body)]

    before = await kernel_of_the_notebook()
    await before.execute("%load_ext jupyter_dlenv\nx = [41]; f = lambda: 0")
    wrong = await before.execute("%dlenv use bert --carry nothing")
    refused = await before.execute("%dlenv use bert --carry f")
    told = asyncio.ensure_future(before.execute("%dlenv use bert --carry all"))
    after = await eventually(
        kernel_of_the_notebook, lambda kernel: kernel.id != before.id, "the other kernel"
    )
    answer = await after.execute("import os; (x, os.environ['DLENV_ENVIRONMENT'])")
    await eventually(
        kernels, lambda ids: ids == [after.id], "the end of the notebook's first kernel"
    )
    told.cancel()
    await asyncio.wait({told})
    await after.aclose()

    assert "no variable 'nothing'" in wrong
    assert "f cannot be taken along" in refused
    assert "([41], 'bert')" == answer
