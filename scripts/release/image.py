"""An OCI image of the static binary, in the layout that the image specification defines.

`podman load`, `docker load` and `skopeo copy oci-archive:FILE` read it.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import NamedTuple

import archive
from archive import Entry
from project import LICENCE, NAME, SUMMARY

ARCHITECTURES = {"x86_64-unknown-linux-musl": "amd64", "aarch64-unknown-linux-musl": "arm64"}
USER = 65532
DATA = "/var/lib/krt"
PACKAGE = "/package"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
# A container is called from outside: an address of the loopback would answer nobody.
VARIABLES = {
    "PATH": "/usr/bin",
    "HOME": DATA,
    "SSL_CERT_FILE": f"/{CERTIFICATES}",
    "KRT_DATA": DATA,
    "KRT_LISTEN": "0.0.0.0:9000",
}


class Blob(NamedTuple):
    """A file of the layout, which the digest of its content names."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """The digest, as descriptors write it."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    @property
    def entry(self) -> Entry:
        """Its place in the layout."""
        return Entry("blobs/" + self.digest.replace(":", "/"), self.content)

    def descriptor(self, **more: object) -> dict:
        """How others of the layout refer to it."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
            **more,
        }


def json_blob(kind: str, value: dict) -> Blob:
    """A document of the specification."""
    content = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return Blob(f"application/vnd.oci.image.{kind}+json", content)


def root_files(krt: bytes, certificates: bytes) -> list[Entry]:
    """The files of the image: the binary, a user without rights, and what both need."""
    return [
        Entry("etc/passwd", f"krt:x:{USER}:{USER}::{DATA}:/sbin/nologin\n".encode()),
        Entry("etc/group", f"krt:x:{USER}:\n".encode()),
        Entry(CERTIFICATES, certificates),
        Entry("tmp", None, 0o1777),
        Entry("usr/bin/krt", krt, 0o755),
        Entry(DATA[1:], None, 0o750, USER),
        Entry(PACKAGE[1:], None, 0o755),
    ]


def layout(
    binaries: dict[str, bytes], certificates: bytes, version: str, epoch: int
) -> list[Entry]:
    """The files of the layout, with an image for each platform."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    labels = {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.description": SUMMARY,
        "org.opencontainers.image.licenses": LICENCE,
        "org.opencontainers.image.version": version,
    }
    blobs, manifests = [], []
    for target, krt in sorted(binaries.items()):
        files = archive.tar(root_files(krt, certificates), epoch)
        layer = Blob("application/vnd.oci.image.layer.v1.tar+gzip", archive.compress(files))
        config = json_blob(
            "config.v1",
            {
                "architecture": ARCHITECTURES[target],
                "os": "linux",
                "created": created,
                "config": {
                    "Entrypoint": ["/usr/bin/krt"],
                    "Cmd": ["serve", "--dashboard", "0.0.0.0:9001"],
                    "User": f"{USER}:{USER}",
                    "WorkingDir": PACKAGE,
                    "Env": [f"{name}={value}" for name, value in VARIABLES.items()],
                    "Volumes": {DATA: {}},
                    "ExposedPorts": {"9000/tcp": {}, "9001/tcp": {}},
                    "StopSignal": "SIGTERM",
                    "Labels": labels,
                },
                "rootfs": {"type": "layers", "diff_ids": [Blob("", files).digest]},
                "history": [{"created": created, "created_by": "krt release"}],
            },
        )
        manifest = json_blob(
            "manifest.v1",
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
                "annotations": labels,
            },
        )
        blobs += [layer, config, manifest]
        platform = {"architecture": ARCHITECTURES[target], "os": "linux"}
        manifests.append(manifest.descriptor(platform=platform))
    index = json_blob(
        "index.v1",
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        },
    )
    named = index.descriptor(annotations={"org.opencontainers.image.ref.name": version})
    top = json_blob("index.v1", {"schemaVersion": 2, "manifests": [named]})
    marker = Entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    return [marker, Entry("index.json", top.content), *{blob.entry for blob in [*blobs, index]}]
