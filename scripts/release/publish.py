"""Makes the files of a release from what was built: the same bytes each time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import archive
import certifi
import image
import installers
from archive import Entry
from project import ROOT, epoch, version

# The names under which shells look for completions.
COMPLETIONS = {
    "bash": "krt.bash",
    "zsh": "_krt",
    "fish": "krt.fish",
    "elvish": "krt.elv",
    "powershell": "krt.ps1",
}


def publish(builds: Path, published: Path, krt: Path, url: str) -> None:
    """Writes the release. `krt` runs on this machine, and describes its own command line."""
    shutil.rmtree(published, ignore_errors=True)
    published.mkdir(parents=True)
    targets = {folder.name: folder for folder in sorted(builds.iterdir())}
    common = documents() + generated(krt)
    sums = {}
    for target, folder in targets.items():
        name = f"krt-{version()}-{target}"
        (wheel,) = folder.glob("*.whl")
        binary = Entry("krt", (folder / "krt").read_bytes(), 0o755)
        third_party = Entry("THIRD-PARTY", from_wheel(wheel, "/THIRD-PARTY"))
        packed = pack(published, name, [*common, binary, third_party])
        sums[packed.name] = digest(packed)
        symbols = Entry("krt.debug", (folder / "krt.debug").read_bytes())
        pack(published, f"{name}-symbols", [symbols])
        shutil.copyfile(wheel, published / wheel.name)
        (published / f"{name}.cdx.json").write_bytes(from_wheel(wheel, ".cyclonedx.json"))
    write_image(targets, published)
    (published / "krt.schema.json").write_bytes(output(krt, "schema"))
    (published / "krt-install.sh").write_text(installers.installer(sums, version(), url))
    (published / "krt.rb").write_text(installers.formula(sums, version(), url))
    lines = [f"{digest(path)}  {path.name}\n" for path in sorted(published.iterdir())]
    (published / "SHA256SUMS").write_text("".join(lines))


def documents() -> list[Entry]:
    """The texts that every archive has."""
    return [
        Entry(name, (ROOT / name).read_bytes()) for name in ("LICENSE", "README.md", "CHANGELOG.md")
    ]


def generated(krt: Path) -> list[Entry]:
    """The manual pages and completions."""
    entries = []
    for shell, name in COMPLETIONS.items():
        entries.append(Entry(f"completions/{name}", output(krt, "completions", shell)))
    with tempfile.TemporaryDirectory() as pages:
        subprocess.run([krt, "man", pages], check=True)
        return entries + archive.entries_below(Path(pages), "man")


def output(krt: Path, *words: str) -> bytes:
    """What the binary prints."""
    return subprocess.run([krt, *words], check=True, capture_output=True).stdout


def pack(published: Path, name: str, files: list[Entry]) -> Path:
    """Writes an archive whose files are in a folder with its name."""
    path = published / f"{name}.tar.gz"
    below = [file._replace(name=f"{name}/{file.name}") for file in files]
    path.write_bytes(archive.compress(archive.tar(below, epoch())))
    return path


def from_wheel(wheel: Path, suffix: str) -> bytes:
    """The content of the file whose name ends in this way."""
    with zipfile.ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith(suffix))
        return content.read(name)


def write_image(targets: dict[str, Path], published: Path) -> None:
    """Writes the image of the static binaries, as an archive of its layout."""
    static = {
        target: targets[target] / "krt" for target in image.ARCHITECTURES if target in targets
    }
    if static:
        binaries = {target: path.read_bytes() for target, path in static.items()}
        trusted = Path(certifi.where()).read_bytes()
        layout = image.layout(binaries, trusted, version(), epoch())
        packed = published / f"krt-{version()}-image.tar"
        packed.write_bytes(archive.tar(layout, epoch()))


def digest(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
