"""Makes the images of the tests and the demo on an engine, without a hub, and remembers them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker

from . import ask, debian

#: On each image: the hash of the recipe that made it, and of the recipes below.
RECIPE_LABEL = "org.jupyter-dlenv.test-recipe"
STARTER = "python:3.12-slim"

_APT = (
    "apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
    "apt-get install -y -qq --no-install-recommends"
)
_CLEAN = "rm -rf /var/lib/apt/lists/* /var/cache/apt/*"


@dataclass(frozen=True)
class Recipe:
    """How an image is made on top of another; without one below, from Debian's packages."""

    lines: tuple[str, ...]
    base: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


RECIPES = {
    # Debian with apt and without Python.
    "bare": Recipe(
        (
            "mmdebstrap",
            "--variant=apt",
            "--include=ca-certificates",
            "--mode=root",
            # Snapshots of the archive, which CI machines like, are expired by definition.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
        )
    ),
    # Something to push and pull; nothing in it can run.
    "tiny": Recipe(("a file named content",)),
    # Python without pip and ipykernel.
    "python": Recipe((f"RUN {_APT} python3 && {_CLEAN}",), base="bare"),
    "kernel": Recipe((f"RUN {_APT} python3-ipykernel && {_CLEAN}",), base="python"),
    # The habits of NVIDIA's images that have broken other tools.
    "ngc": Recipe(
        (
            "COPY nvidia_entrypoint.sh /opt/nvidia/",
            "COPY constraint.txt /etc/pip/",
            "RUN chmod +x /opt/nvidia/nvidia_entrypoint.sh && mkdir /workspace",
            "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video",
            "ENV PIP_CONSTRAINT=/etc/pip/constraint.txt",
            "LABEL com.nvidia.build.id=1 com.nvidia.volumes.needed=nvidia_driver",
            "WORKDIR /workspace",
            'ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]',
        ),
        base="kernel",
        files={
            "nvidia_entrypoint.sh": (
                "#!/bin/bash\n"
                "echo 'NVIDIA Release 25.10 (a stand-in)'\n"
                "export DLENV_TEST_ENTRYPOINT=ran\n"
                'exec "$@"\n'
            ),
            "constraint.txt": "ipykernel==6.17.0\n",
        },
    ),
    # An image that does not run as root.
    "user": Recipe(
        ("RUN useradd --create-home --uid 1000 --shell /bin/bash ubuntu", "USER ubuntu"),
        base="kernel",
    ),
    # An image that has an SSH server already, with the host keys that its packages made.
    "ssh": Recipe((f"RUN {_APT} openssh-server rsync && {_CLEAN}",), base="kernel"),
    # `%pip install` is what people try next; Debian's own pip would refuse it.
    "starter": Recipe(
        (
            f"RUN {_APT} python3-matplotlib python3-pip && {_CLEAN}",
            "ENV PIP_BREAK_SYSTEM_PACKAGES=1",
        ),
        base="kernel",
    ),
}


class Images:
    """The test images of one engine.

    Args:
        source: Of another engine on this machine: what that one has is not made again.
    """

    def __init__(self, url: str, *, source: Images | None = None) -> None:
        self._url = url
        self._source = source
        # So long without a word is a failure; the whole may take longer.
        self.client = docker.DockerClient(base_url=url, timeout=120)

    def ensure(self, name: str) -> str:
        """Return the reference of an image, after making it if its recipe is new here."""
        reference = _reference(name)
        recipe = RECIPES[name]
        if not self._has(reference, recipe):
            if self._source:
                self._copy(self._source.ensure(name), self._source)
            elif name == "bare":
                self._import(reference, recipe, _debian_root)
            elif name == "tiny":
                self._import(reference, recipe, _one_file)
            else:
                self.ensure(recipe.base)
                self._build(reference, recipe)
        return reference

    def ensure_starter(self) -> str:
        """Return the image of the demo: the usual one from the hub, or else one of our own."""
        try:
            self.client.images.get(STARTER)
            return STARTER
        except docker.errors.ImageNotFound:
            pass
        if self._has(_reference("starter"), RECIPES["starter"]):
            return _reference("starter")
        # A hub that cannot be reached may also be silent: this long without a word is enough.
        with contextlib.closing(docker.DockerClient(base_url=self._url, timeout=15)) as hurried:
            try:
                hurried.images.pull(STARTER)
                return STARTER
            except (docker.errors.APIError, OSError):
                return self.ensure("starter")

    def _has(self, reference: str, recipe: Recipe) -> bool:
        try:
            labels = self.client.images.get(reference).labels
        except docker.errors.ImageNotFound:
            return False
        return labels.get(RECIPE_LABEL) == _digest(recipe)

    def _copy(self, reference: str, source: Images) -> None:
        with tempfile.TemporaryFile() as file:
            for chunk in source.client.images.get(reference).save(named=reference):
                file.write(chunk)
            file.seek(0)
            self.client.images.load(file)

    def _import(self, reference: str, recipe: Recipe, write) -> None:
        with tempfile.TemporaryDirectory(prefix="dlenv-image-") as scratch:
            tar = Path(scratch) / "root.tar"
            write(recipe, tar)
            repository, tag = reference.rsplit(":", 1)
            self.client.api.import_image(
                src=str(tar),
                repository=repository,
                tag=tag,
                changes=[f"LABEL {RECIPE_LABEL}={_digest(recipe)}", 'CMD ["/bin/bash"]'],
            )

    def _build(self, reference: str, recipe: Recipe) -> None:
        dockerfile = "\n".join((f"FROM {_reference(recipe.base)}", *recipe.lines))
        with io.BytesIO() as context:
            with tarfile.open(fileobj=context, mode="w") as tar:
                for path, text in {**recipe.files, "Dockerfile": dockerfile}.items():
                    _add(tar, path, text.encode())
            context.seek(0)
            self.client.images.build(
                fileobj=context,
                custom_context=True,
                tag=reference,
                labels={RECIPE_LABEL: _digest(recipe)},
                rm=True,
                forcerm=True,
            )


def _reference(name: str) -> str:
    # The starter is what a user of the demo sees; the others are only the tests'.
    return f"dlenv/{name}:latest" if name == "starter" else f"dlenv-test/{name}:latest"


def _digest(recipe: Recipe) -> str:
    below = _digest(RECIPES[recipe.base]) if recipe.base else ""
    text = repr((below, recipe.lines, sorted(recipe.files.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _debian_root(recipe: Recipe, tar: Path) -> None:
    debian.install_missing(mmdebstrap="mmdebstrap")
    sources = tar.with_name("sources.list")
    sources.write_text(debian.sources("bookworm"))
    subprocess.run(
        [*recipe.lines, "--quiet", "bookworm", str(tar), str(sources)],
        check=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def _one_file(_recipe: Recipe, tar: Path) -> None:
    with tarfile.open(tar, "w") as archive:
        _add(archive, "content", b"hello\n")


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def main() -> None:
    """Make all images of the tests on the engine that answers, if one does."""
    url = ask.answering_url()
    if url is None:
        return
    images = Images(url)
    for name in RECIPES:
        if name != "starter":
            print(images.ensure(name), flush=True)


if __name__ == "__main__":
    main()
