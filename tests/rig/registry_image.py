"""Puts images into a registry without an engine: what a registry has, with more on top."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import urllib.request
from collections.abc import Mapping

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"


def extend(
    address: str,
    source: str,
    target: str,
    *,
    sizes: tuple[int, ...] = (),
    env: Mapping[str, str] | None = None,
    architecture: str = "",
) -> None:
    """Make an image of another one, in the same repository and without a login.

    Args:
        source: ``repository:tag`` of the other one.
        target: The tag of the new one.
        sizes: Bytes of each layer that is added; nobody has had them before.
    """
    repository, _, tag = source.rpartition(":")
    base = f"http://{address}/v2/{repository}"
    manifest = json.loads(_ask(f"{base}/manifests/{tag}", headers={"Accept": MANIFEST}))
    config = json.loads(_ask(f"{base}/blobs/{manifest['config']['digest']}"))
    for number, size in enumerate(sizes):
        content = _tar(f"opt/layer-{number}", os.urandom(size))
        # What is random cannot be compressed; to try costs time.
        packed = gzip.compress(content, compresslevel=0)
        manifest["layers"].append(_put(base, packed, LAYER))
        config["rootfs"]["diff_ids"].append(_digest(content))
        config["history"].append({"created_by": f"layer {number}"})
    variables = dict(v.partition("=")[::2] for v in config["config"].get("Env") or ())
    config["config"]["Env"] = [f"{k}={v}" for k, v in {**variables, **(env or {})}.items()]
    config["architecture"] = architecture or config["architecture"]
    # An image of its own, also where nothing else differs.
    config["config"]["Labels"] = {**(config["config"].get("Labels") or {}), "tag": target}
    manifest["config"] = _put(base, json.dumps(config).encode(), CONFIG)
    headers = {"Content-Type": MANIFEST}
    _ask(f"{base}/manifests/{target}", json.dumps(manifest).encode(), headers, "PUT")


def index(address: str, source: str, target: str, processors: tuple[str, ...]) -> None:
    """Make an index whose images, for whichever processor, are all another one of the registry."""
    repository, _, tag = source.rpartition(":")
    base = f"http://{address}/v2/{repository}/manifests"
    body = _ask(f"{base}/{tag}", headers={"Accept": MANIFEST})
    entry = {"mediaType": MANIFEST, "digest": _digest(body), "size": len(body)}
    platforms = [{"os": "linux", "architecture": name} for name in processors]
    manifests = [{**entry, "platform": platform} for platform in platforms]
    data = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    _ask(f"{base}/{target}", json.dumps(data).encode(), {"Content-Type": INDEX}, "PUT")


def remove(address: str, repository: str, tag: str) -> None:
    """Take a tag and its image out of a registry."""
    base = f"http://{address}/v2/{repository}/manifests"
    request = urllib.request.Request(f"{base}/{tag}", headers={"Accept": MANIFEST}, method="HEAD")
    with urllib.request.urlopen(request, timeout=10) as answer:
        digest = answer.headers["Docker-Content-Digest"]
    _ask(f"{base}/{digest}", method="DELETE")


def _put(base: str, content: bytes, kind: str) -> dict[str, object]:
    request = urllib.request.Request(f"{base}/blobs/uploads/", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=10) as answer:
        place = answer.headers["Location"]
    digest = _digest(content)
    mark = "&" if "?" in place else "?"
    _ask(f"{place}{mark}digest={digest}", content, {"Content-Type": "application/octet-stream"})
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _ask(url: str, data: bytes | None = None, headers=None, method: str = "") -> bytes:
    method = method or ("GET" if data is None else "PUT")
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def _tar(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
