"""An environment that was saved as an image: what is in it, and what must not be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
import zipfile
from dataclasses import replace
from pathlib import Path

import docker
import jsonschema
import pexpect
import pytest

from jupyter_dlenv.errors import (
    CapabilityMissingError,
    ImageExistsError,
    InvalidSpecError,
    NotAllowedError,
)
from jupyter_dlenv.labels import BASE, PREFIX, RECIPE, SAVED_FROM
from jupyter_dlenv.models import Mount, Phase
from jupyter_dlenv.policy import Policy
from jupyter_dlenv.saving import save_environment

docker_only = pytest.mark.parametrize(
    "engine_name", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)


@pytest.fixture
def tag(images):
    """Return a name for an image; what has it at the end is removed."""
    name = f"dlenv-test/saved-{uuid.uuid4().hex[:8]}:1"
    yield name
    with contextlib.suppress(docker.errors.ImageNotFound):
        images.client.images.remove(name, force=True)


@pytest.fixture
def wheel(tmp_path):
    """Return a wheel of a package that no image has."""
    path = tmp_path / "wheels" / "keepsake-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("keepsake.py", "word = 'kept'\n")
        archive.writestr("keepsake-1.0.dist-info/METADATA", "Name: keepsake\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("keepsake-1.0.dist-info/WHEEL", tags)
        archive.writestr("keepsake-1.0.dist-info/RECORD", "")
    return path


async def run_in(environments, name, *argv, as_root=False):
    stream = await environments.open_stream(name, argv, as_root=as_root)
    output = b""
    while (frame := await asyncio.wait_for(stream.read(), 60))[0]:
        output += frame[1]
    code = await stream.wait()
    await stream.aclose()
    assert code == 0, output
    return output.decode()


@docker_only
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_colleague_starts_with_what_was_installed(
    environments, spec, wheel, registry, images, run_id
):
    """Earns its time: saved, pushed, removed, pulled and launched: this is what saving is for."""
    reference = f"{registry.address}/team/{run_id}:1"
    mount = Mount(source=str(wheel.parent), target="/wheels", read_only=True)
    # An image to which a kernel has to be added first, so that there are two below the saved one.
    spec = replace(
        spec,
        name=run_id,
        image=images.ensure("python"),
        mounts=(mount,),
        env={"HF_TOKEN": "s3cret"},
        labels={"team": "s3cret"},
    )
    await environments.launch(spec)
    pip = ("python3", "-m", "pip", "install", "--no-index", f"/wheels/{wheel.name}")
    await run_in(environments, run_id, *pip, as_root=True)
    phases = []

    saved = await save_environment(
        environments, run_id, reference, push=True, report=lambda p: phases.append(p.phase)
    )

    assert list(dict.fromkeys(phases)) == [Phase.QUEUED, Phase.SAVING, Phase.PUSHING]
    facts = await asyncio.to_thread(images.client.api.inspect_image, reference)
    history = await asyncio.to_thread(images.client.api.history, reference)
    assert "s3cret" not in json.dumps([facts, history])
    base = await asyncio.to_thread(images.client.api.inspect_image, spec.image)
    for key in ("Cmd", "Entrypoint", "WorkingDir"):
        assert (facts["Config"][key] or None) == (base["Config"][key] or None)
    labels = facts["Config"]["Labels"]
    ours = {key for key, value in labels.items() if key.startswith(PREFIX) and value}
    assert labels[SAVED_FROM] == run_id
    assert labels["org.opencontainers.image.base.name"] == spec.image
    assert not {BASE, RECIPE} & ours
    assert f"{PREFIX}.spec" not in ours

    await environments.remove(run_id)
    await asyncio.to_thread(images.client.images.remove, reference, force=True)
    pinned = f"{reference}@{saved.digest}"
    try:
        await environments.launch(replace(spec, image=pinned, mounts=(), env={}, labels={}))
        script = "import keepsake, os; print(keepsake.word, os.environ.get('HF_TOKEN'))"
        assert await run_in(environments, run_id, "python3", "-c", script) == "kept None\n"
        again = await environments.get(run_id)
        assert again.image_id == saved.image_id, "nothing had to be added once more"
        await environments.remove(run_id)
    finally:
        await asyncio.to_thread(images.client.images.remove, saved.image_id, force=True)


@docker_only
async def test_what_pip_has_put_into_the_home_directory_is_in_the_image(
    environments, spec, tag, other_user
):
    user = f"{other_user.uid}:{other_user.gid}"
    await environments.launch(replace(spec, user=user))
    await run_in(environments, spec.name, "sh", "-c", _INSTALLED_AT_HOME)

    saved = await save_environment(environments, spec.name, tag)
    left = await run_in(environments, spec.name, "sh", "-c", "ls /opt/dlenv/carried /usr/local/bin")
    await environments.launch(replace(spec, name="b", image=tag, user="4321:4321"))
    # A second time, with a newer one at the new home.
    newer = _INSTALLED_AT_HOME.replace("mine", "newer").replace("2.9.1", "3.0")
    await run_in(environments, "b", "sh", "-c", newer)
    again = await save_environment(environments, "b", tag, replace=True)
    await environments.launch(replace(spec, name="c", image=tag, user=user))

    assert "/home/dlenv is not in the image" in saved.notes[0]
    assert "in the image all the same: torch_of_mine." in saved.notes[1]
    assert "in the image all the same: torch_of_newer." in again.notes[1]
    assert ["/opt/dlenv/carried:", "/usr/local/bin:"] == left.split()
    look = "import torch_of_mine, torch_of_newer, ipykernel, json as j; print(j.__name__)"
    assert "json\n" == await run_in(environments, "c", "python3", "-c", look)
    # What is at home, or is newer, comes first, and before what the image itself has.
    assert "newer\n" == await run_in(environments, "c", "python3", "-c", "import both")
    assert "a program of mine\n" == await run_in(environments, "c", "torch-of-mine")


#: A package of which both versions have a module, and its program.
_INSTALLED_AT_HOME = """
set -e
umask 077
packages="$HOME/.local/lib/python3.11/site-packages"
mkdir -p "$packages/torch_of_mine-2.9.1.dist-info" "$HOME/.local/bin"
echo > "$packages/torch_of_mine.py"
echo 'print("mine")' > "$packages/both.py"
printf '#!/bin/sh\necho a program of mine\n' > "$HOME/.local/bin/torch-of-mine"
chmod 700 "$HOME/.local/bin/torch-of-mine"
"""


@docker_only
async def test_a_stopped_environment_can_be_saved_and_started_again(environments, spec, tag):
    await environments.launch(spec)
    await environments.stop(spec.name)

    saved = await save_environment(environments, spec.name, tag)

    assert (saved.image, saved.digest) == (tag, "")
    await environments.start(spec.name)


@docker_only
async def test_a_name_is_not_taken_from_an_image_unasked(environments, spec, tag, images):
    await environments.launch(spec)
    await asyncio.to_thread(images.client.images.get(images.ensure("tiny")).tag, tag)

    with pytest.raises(ImageExistsError):
        await save_environment(environments, spec.name, tag)
    saved = await save_environment(environments, spec.name, tag, replace=True)

    now = await asyncio.to_thread(images.client.images.get, tag)
    assert now.id == saved.image_id


@docker_only
async def test_who_may_not_launch_every_image_may_not_name_one(open_environments, spec, tag):
    environments = open_environments(policy=Policy(allowed_images=("dlenv-test/*",)))
    await environments.launch(spec)

    with pytest.raises(NotAllowedError, match="allowed_images"):
        await save_environment(environments, spec.name, tag)


@docker_only
@pytest.mark.parametrize("name", ["UPPER:1", "a b", f"a@sha256:{'0' * 64}", "-x"])
async def test_what_cannot_be_a_name_is_refused_at_once(environments, name):
    with pytest.raises(InvalidSpecError):
        await save_environment(environments, "nothing", name)


@pytest.mark.parametrize("engine_name", ["process"], indirect=True)
async def test_a_plain_process_cannot_be_saved(environments, spec):
    await environments.launch(spec)

    with pytest.raises(CapabilityMissingError):
        await save_environment(environments, spec.name, "a:1")


@docker_only
def test_the_command_asks_before_a_name_is_taken(launched, run, tag, schema):
    first = run("save", "a", tag, "--json")
    jsonschema.validate(json.loads(first.stdout), schema)
    refused = run("save", "a", tag)
    assert (first.returncode, refused.returncode) == (0, 4)
    assert "--yes" in refused.stderr

    program = Path(sys.executable).with_name("jupyter-dlenv")
    terminal = pexpect.spawn(str(program), ["save", "a", tag], encoding="utf-8", timeout=60)
    terminal.expect(r"Take the name from it\? \[y/N\]")
    terminal.sendline("y")
    terminal.expect(f"jupyter dlenv launch {tag}")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
