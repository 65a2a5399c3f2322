"""Over REST, too, nobody finds the environment of another owner on the same engine."""

from __future__ import annotations

import json
import re

from jupyter_dlenv.models import EnvironmentSpec
from jupyter_dlenv.server import openapi

#: A websocket, which opens what ``test_two_owners.py`` tries.
SOCKETS = {("get", "/environments/{name}/ssh")}


async def test_no_route_with_a_name_finds_the_environment_of_somebody_else(api, dlenv):
    configuration = dlenv.configuration
    mine = configuration.owner
    configuration.owner = f"{mine}-al"
    others = configuration.open()
    configuration.owner = mine
    await others.launch(EnvironmentSpec(name="a", image="python"))
    try:
        answers = {}
        for path, item in openapi.description("/")["paths"].items():
            if "/environments/{name}" not in path:
                continue
            for verb in item.keys() - {"parameters"}:
                if (verb, path) in SOCKETS:
                    continue
                asked = re.sub(r"\{[a-z_]+\}", "1", path.replace("{name}", "a"))
                body = {"body": json.dumps({"image": "x:1"} if "save" in path else {})}
                body = body if verb in ("post", "put", "patch") else {}
                answer = await api.ask(verb.upper(), asked, **body)
                error = answer.error if answer.code >= 400 else answer.json.get("error")
                if answer.code == 202:
                    # Looked for later; what matters is how it ends.
                    error = (await api.saved(answer.json))["error"]
                answers[verb, path] = (error or {}).get("code")
        listed = (await api.get("/environments")).json["environments"]
        kept = await others.get("a")
    finally:
        await others.remove("a")
        await others.aclose()

    assert len(answers) > 8
    assert {} == {k: v for k, v in answers.items() if v != "environment-not-found"}
    assert [] == listed
    assert "running" == kept.status.value
