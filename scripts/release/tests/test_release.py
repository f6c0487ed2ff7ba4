"""Makes a release and installs it. Compiles nothing: `KRT` names the binary.

The installer runs in each shell of this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import bill
import build
import container
import installers
import licences
import publish
import pytest
from conftest import EPOCH, GNU, MAC, MUSL, URL
from project import ROOT, version

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


def content(path: Path) -> dict[str, tarfile.TarInfo]:
    """The entries of a tar."""
    with tarfile.open(path) as archive:
        return {entry.name: entry for entry in archive.getmembers()}


def test_the_same_content_gives_the_same_bytes(release, builds, krt, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    moved = shutil.copytree(builds, tmp_path / "elsewhere")
    for path in moved.rglob("*"):
        os.utime(path, (1, 1))
    again = tmp_path / "published"
    publish.publish(moved, again, krt, URL)
    assert (release / "SHA256SUMS").read_text() == (again / "SHA256SUMS").read_text()


def test_every_file_has_its_checksum(release):
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=release, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    named = {line.split("  ")[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
    assert named == {path.name for path in release.iterdir()} - {"SHA256SUMS"}


def test_an_archive_has_the_binary_pages_completions_and_licences(release):
    name = f"krt-{version()}-{GNU}"
    entries = content(release / f"{name}.tar.gz")
    wanted = [
        "krt",
        "LICENSE",
        "THIRD-PARTY",
        "man/krt.1",
        "man/krt-version-start.1",
        "completions/_krt",
    ]
    for path in wanted:
        assert f"{name}/{path}" in entries
    assert entries[f"{name}/krt"].mode == 0o755
    assert list(entries) == sorted(entries)
    assert {(entry.mtime, entry.uid, entry.uname) for entry in entries.values()} == {(EPOCH, 0, "")}
    pages = [path for path in entries if path.endswith(".1")]
    assert not [path for path in pages if "read-package" in path or "krt-worker" in path]


def test_the_licences_name_every_linked_crate():
    components = list(licences.crates(GNU))
    names = {component.name for component in components}
    assert {"tokio", "rusqlite", "clap_mangen"} <= names
    # Dependencies of tests and build scripts are not in the binary, and neither are macros.
    assert not names & {"insta", "proptest", "cc", "serde_derive"}
    text = licences.text(components)
    for component in components:
        assert f"{component.name} {component.version}: {component.licence}\n" in text
    assert "Permission is hereby granted, free of charge" in text


def test_a_component_without_a_licence_is_an_error():
    named = licences.Component("marker", "0.0.1", "MIT", ())
    assert "No licence file. The package names its licence: MIT\n" in licences.text([named])
    with pytest.raises(ValueError, match=r"marker 0\.0\.1 has no licence"):
        licences.text([named._replace(licence=licences.UNNAMED)])


def test_the_dashboard_has_its_licences():
    components = list(licences.dashboard())
    built = (ROOT / "dashboard/dist/index.html").exists()
    assert built == ("react" in {component.name for component in components})
    assert licences.text(components)


def test_the_bill_of_materials_names_no_folder_of_the_machine_and_has_both_ecosystems():
    crates = [{"name": "tokio"}, {"bom-ref": f"path+{ROOT.as_uri()}/crates/cli#krt-cli@0.1.0"}]
    completed = json.loads(bill.complete(json.dumps({"components": crates})))["components"]
    assert completed[1]["bom-ref"] == "path+file:///krt/crates/cli#krt-cli@0.1.0"
    names = {component.get("name") for component in completed}
    assert "tokio" in names
    assert ("react" in names) == (ROOT / "dashboard/dist/index.html").exists()


def output(*words: str | Path) -> str:
    """What a program prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def installer(
    release: Path, shell: str, url: str, home: Path, **more: str
) -> subprocess.CompletedProcess:
    """Pipes the installer into a shell, as its users do."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "KRT_DOWNLOAD_URL": url, **more}
    words = [shell, "sh"] if shell == "busybox" else [shell]
    with (release / "krt-install.sh").open() as script:
        return subprocess.run(words, stdin=script, env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_installer_puts_the_binary_below_home(release, served, tmp_path, shell):
    ended = installer(release, shell, served, tmp_path)
    binary = tmp_path / ".local/bin/krt"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"installed krt {version()} as {binary}\nnote: ")
    assert output(binary, "--version") == f"krt {version()}\n"
    assert [path.name for path in binary.parent.iterdir()] == ["krt"]
    # A second time replaces it; nothing is said of PATH, if the folder is there.
    on_path = f"{binary.parent}:{os.environ['PATH']}"
    again = installer(release, shell, release.as_uri(), tmp_path, PATH=on_path)
    assert (again.returncode, again.stdout) == (0, f"installed krt {version()} as {binary}\n"), (
        again.stderr
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_the_installer_refuses_other_bytes(release, tmp_path, shell):
    changed = shutil.copytree(release, tmp_path / "changed")
    for path in changed.glob("krt-*-linux-*.tar.gz"):
        path.write_bytes(gzip.compress(b"other"))
    ended = installer(
        changed, shell, changed.as_uri(), tmp_path, KRT_INSTALL_DIR=str(tmp_path / "bin")
    )
    assert ended.returncode == 1
    assert "error: the checksum of " in ended.stderr
    assert list((tmp_path / "bin").iterdir()) == []


def test_the_installer_says_what_is_missing(release, tmp_path):
    ended = installer(release, "sh", (tmp_path / "nothing").as_uri(), tmp_path)
    assert ended.returncode == 1
    assert "error: cannot download file://" in ended.stderr
    assert list((tmp_path / ".local/bin").iterdir()) == []
    half = installers.installer({}, version(), "").rpartition("main\n")[0]
    ended = subprocess.run(
        ["/bin/sh"], input=half, capture_output=True, text=True, env={"PATH": "/none"}
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "expected"),
    [
        ("Linux", "x86_64", "glibc 2.36", GNU),
        ("Linux", "x86_64", "glibc 2.17", GNU),
        ("Linux", "x86_64", "glibc 2.12", MUSL),
        ("Linux", "x86_64", "", MUSL),
        ("Darwin", "arm64", "", MAC),
        ("Linux", "aarch64", "glibc 2.36", None),
        ("FreeBSD", "amd64", "", None),
    ],
)
def test_the_installer_knows_the_platform(release, tmp_path, system, machine, glibc, expected):
    tools = tmp_path / "tools"
    tools.mkdir()
    answers = {
        "uname": f"case $1 in -m) echo {machine};; *) echo {system};; esac",
        "getconf": f'echo "{glibc}"',
    }
    for name, code in answers.items():
        (tools / name).write_text(f"#!/bin/sh\n{code}\n")
        (tools / name).chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    ended = installer(release, "sh", release.as_uri(), tmp_path, PATH=path)
    if expected is None:
        assert ended.returncode == 1
        assert "krt" in ended.stderr.splitlines()[0]
        return
    assert ended.returncode == 0, ended.stderr
    assert output(tmp_path / ".local/bin/krt", "platform") == f"{expected}\n"


def test_the_formula_names_each_archive(release):
    formula = (release / "krt.rb").read_text()
    for target in (MAC, MUSL):
        archive = release / f"krt-{version()}-{target}.tar.gz"
        assert f'/v1/{archive.name}"\n      sha256 "{publish.digest(archive)}"' in formula
    assert 'homepage "https://example.com/krt"' in formula
    assert "@" not in formula


def test_the_image_is_a_layout_with_one_static_binary(release, tmp_path):
    with tarfile.open(release / f"krt-{version()}-image.tar") as archive:
        archive.extractall(tmp_path)
    blobs = tmp_path / "blobs/sha256"
    for blob in blobs.iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name

    def follow(descriptor: dict) -> bytes:
        found = (blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes()
        assert len(found) == descriptor["size"]
        return found

    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (top,) = json.loads((tmp_path / "index.json").read_text())["manifests"]
    (described,) = json.loads(follow(top))["manifests"]
    assert described["platform"] == {"architecture": "amd64", "os": "linux"}
    manifest = json.loads(follow(described))
    config = json.loads(follow(manifest["config"]))
    (layer,) = (gzip.decompress(follow(layer)) for layer in manifest["layers"])
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert MUSL.encode() in files.extractfile("usr/bin/krt").read()
        assert files.getmember("var/lib/krt").uid == 65532
        assert b"BEGIN CERTIFICATE" in files.extractfile("etc/ssl/certs/ca-certificates.crt").read()
    assert config["config"]["Entrypoint"] == ["/usr/bin/krt"]


@pytest.mark.skipif(not container.can_start(), reason="only root starts containers, by runc")
def test_the_image_serves_to_other_machines(release, krt, tmp_path):
    root = tmp_path / "rootfs"
    config = container.unpack(release / f"krt-{version()}-image.tar", "amd64", root)
    shutil.copy(krt, root / "usr/bin/krt")
    # The binary of tests is not static, unlike that of a release.
    for library in re.findall(r"(/\S+)", output("ldd", krt)):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    container.serve(tmp_path, config)


def test_a_wheel_has_the_stripped_binary_and_no_path_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    information = "x-1.dist-info"
    files = {
        "x-1.data/scripts/krt": "with symbols",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: x\nVersion: 1\n",
        f"{information}/sboms/x.cyclonedx.json": json.dumps(
            {"components": [{"bom-ref": ROOT.as_uri()}]}
        ),
    }
    content = tmp_path / "x-1"
    for name, text in files.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(text)
    (content / "x-1.data/scripts/krt").chmod(0o755)
    build.run_wheel("pack", "--dest-dir", tmp_path, content)
    (tmp_path / "krt").write_text("stripped")
    (tmp_path / "krt").chmod(0o755)
    made = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        build.repack(tmp_path / "x-1-py3-none-any.whl", folder, tmp_path / "krt", "licences")
        made.append(folder / "x-1-py3-none-any.whl")
    assert made[0].read_bytes() == made[1].read_bytes()
    with zipfile.ZipFile(made[0]) as wheel:
        assert wheel.read("x-1.data/scripts/krt") == b"stripped"
        assert wheel.getinfo("x-1.data/scripts/krt").external_attr >> 16 & 0o777 == 0o755
        assert wheel.read(f"{information}/licenses/THIRD-PARTY") == b"licences"
        assert ROOT.as_uri() not in wheel.read(f"{information}/sboms/x.cyclonedx.json").decode()
        # pip compares files with their hashes in here.
        assert b"licenses/THIRD-PARTY,sha256=" in wheel.read(f"{information}/RECORD")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep symbols in other formats")
def test_symbols_move_to_a_file(krt, tmp_path):
    binary = tmp_path / "krt"
    shutil.copy(krt, binary)
    build.split(binary)
    assert binary.stat().st_size < krt.stat().st_size / 2
    sections = subprocess.run(
        ["readelf", "-SW", binary], check=True, capture_output=True, text=True
    ).stdout
    assert ".debug_info" not in sections
    debug = subprocess.run(
        ["readelf", "-SW", tmp_path / "krt.debug"], check=True, capture_output=True, text=True
    )
    assert ".debug_line" in debug.stdout
    assert subprocess.run([binary, "--version"], check=True, capture_output=True).stdout


def test_what_is_larger_than_a_release_allows_is_refused(tmp_path):
    path = tmp_path / "krt"
    path.touch()
    os.truncate(path, build.MOST_BINARY)
    build.weigh(path, build.MOST_BINARY)
    os.truncate(path, build.MOST_BINARY + 10_000)
    with pytest.raises(SystemExit, match=r"krt` has 30\.01 MB, and a release allows 30 MB\nhint: "):
        build.weigh(path, build.MOST_BINARY)


@pytest.mark.parametrize(
    ("system", "machine", "target", "expected"),
    [
        ("linux", "x86_64", GNU, []),
        ("linux", "x86_64", MUSL, []),
        ("linux", "x86_64", "aarch64-unknown-linux-musl", ["/tools/qemu-aarch64"]),
        ("linux", "x86_64", "aarch64-unknown-linux-gnu", None),
        ("linux", "x86_64", MAC, None),
        ("darwin", "arm64", MAC, []),
        ("darwin", "arm64", "x86_64-apple-darwin", None),
        ("darwin", "arm64", MUSL, None),
    ],
)
def test_a_build_starts_where_it_can(monkeypatch, system, machine, target, expected):
    monkeypatch.setattr(build.sys, "platform", system)
    monkeypatch.setattr(build.platform, "machine", lambda: machine)
    monkeypatch.setattr(build.Path, "is_dir", lambda _: False)
    found = {"qemu-aarch64": "/tools/qemu-aarch64"} if system == "linux" else {}
    monkeypatch.setattr(build.shutil, "which", found.get)
    assert build.starter(target) == expected


def test_a_build_that_is_another_program_is_refused(krt, tmp_path):
    build.start(krt, GNU)
    other = tmp_path / "krt"
    other.write_text("#!/bin/sh\necho krt 0.0.0\n")
    other.chmod(0o755)
    with pytest.raises(SystemExit, match=r"--version` printed 'krt 0\.0\.0"):
        build.start(other, GNU)


def test_two_builds_that_differ_are_refused(builds, tmp_path):
    again = shutil.copytree(builds / GNU, tmp_path / GNU)
    (again / "krt.debug").write_bytes(b"other symbols")
    build.compare(builds / GNU, again)
    (again / "krt").write_bytes(b"other")
    with pytest.raises(SystemExit, match="error: two builds differ in `krt`"):
        build.compare(builds / GNU, again)
    (again / "krt").unlink()
    with pytest.raises(SystemExit, match="files of different names"):
        build.compare(builds / GNU, again)
