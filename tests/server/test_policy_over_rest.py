"""Every rule of an administrator refuses a launch over REST, and names itself."""

from __future__ import annotations

from rig.rules import RULES


async def test_a_launch_over_rest_is_refused_by_the_rule_that_it_breaks(api, dlenv):
    for rule in RULES:
        # Rules are read when an engine is opened.
        await dlenv.engines.aclose()
        setattr(dlenv.configuration, rule.name, type(rule.value)(rule.value))

        answer = await api.post("/environments", {"name": "x", "image": "python", **rule.wish})
        error = (
            answer.error if answer.code >= 400 else (await api.ended(answer.json["id"]))["error"]
        )

        assert "not-allowed" == error["code"], rule
        assert f"(rule {rule.name})" in error["message"]
        setattr(dlenv.configuration, rule.name, rule.unlimited)
    await dlenv.engines.aclose()
