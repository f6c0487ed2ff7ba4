"""Builds the binary and the wheel of a platform, and keeps the debug information beside them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bill import complete
from project import BUILDS, ROOT, say, version

# The profile of Cargo that is published.
PROFILE = "dist"
# What people download in an instant, in bytes. A release with larger files is not made.
MOST_BINARY = 30_000_000
MOST_WHEEL = 20_000_000


def wheel_options(target: str) -> list[str]:
    """Maturin's options for a platform.

    For Linux, zig links: against the oldest glibc that Rust supports, or against musl.
    """
    if target.endswith("-linux-gnu"):
        return ["--zig", "--compatibility", "manylinux_2_17"]
    if target.endswith("-linux-musl"):
        return ["--zig", "--compatibility", "musllinux_1_2"]
    return ["--compatibility", "pypi"]


def build(target: str, licences: str, profile: str = PROFILE) -> Path:
    """Builds for a platform; returns the folder with `krt`, `krt.debug` and the wheel.

    Maturin keeps debug information: to link twice, with and without it, would take twice the time.
    Only what is published has a limit of size: other profiles try the steps of a build.
    """
    folder = BUILDS / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder) as unstripped:
        maturin = [sys.executable, "-m", "maturin", "build", "--target", target, "--strip", "false"]
        maturin += ["--profile", profile, "--out", unstripped, *wheel_options(target)]
        subprocess.run(maturin, cwd=ROOT, check=True)
        built = "debug" if profile == "dev" else profile
        shutil.copy2(ROOT / "target" / target / built / "krt", folder / "krt")
        split(folder / "krt")
        if profile == PROFILE:
            weigh(folder / "krt", MOST_BINARY)
        start(folder / "krt", target)
        (wheel,) = Path(unstripped).glob("*.whl")
        repack(wheel, folder, folder / "krt", licences)
    (wheel,) = folder.glob("*.whl")
    if profile == PROFILE:
        weigh(wheel, MOST_WHEEL)
    return folder


def split(binary: Path) -> None:
    """Moves the debug information of a binary to `krt.debug` beside it.

    The binary does not name that file: the name comes with a checksum, and zig writes folders of
    the machine into debug information.
    """
    binary = binary.resolve()
    debug = binary.with_name("krt.debug")
    if sys.platform == "darwin":
        subprocess.run(["dsymutil", "--flat", binary, "-o", debug], check=True)
        subprocess.run(["strip", binary], check=True)
    else:
        stripped = binary.with_name("krt.stripped")
        objcopy("--only-keep-debug", binary, debug)
        objcopy("--strip-all", binary, stripped)
        stripped.replace(binary)
    say(f"{binary}: {binary.stat().st_size / 1e6:.1f} MB, symbols in {debug.name}")


def weigh(path: Path, most: int) -> None:
    """Refuses a file that has more than so many bytes."""
    size = path.stat().st_size
    if size > most:
        raise SystemExit(
            f"error: `{path}` has {size / 1e6:.2f} MB, and a release allows {most / 1e6:.0f} MB\n"
            "hint: `size -A` shows its sections, and `nm --size-sort krt.debug` its functions; "
            "a crate that no request meets may be built for size (`profile.dist.package`)"
        )


def compare(first: Path, second: Path) -> None:
    """Refuses two builds of a platform that differ.

    Symbols may: zig writes folders of the machine into them.
    """
    files = sorted(path.name for path in first.iterdir() if path.name != "krt.debug")
    if files != sorted(path.name for path in second.iterdir() if path.name != "krt.debug"):
        raise SystemExit(f"error: `{first}` and `{second}` have files of different names")
    for name in files:
        if (first / name).read_bytes() != (second / name).read_bytes():
            raise SystemExit(
                f"error: two builds differ in `{name}`\n"
                f"hint: compare them by `diffoscope {first / name} {second / name}`"
            )
        say(f"{name}: the same bytes in both builds")


def start(binary: Path, target: str) -> None:
    """Starts a binary, if this machine can."""
    words = starter(target)
    if words is None:
        say(f"{binary}: not started, since this machine has no emulator for {target}")
        return
    printed = subprocess.run(
        [*words, binary, "--version"], check=True, capture_output=True, text=True
    ).stdout
    if printed != f"krt {version()}\n":
        raise SystemExit(f"error: `{binary} --version` printed {printed!r}")
    say(f"{binary}: starts")


def starter(target: str) -> list[str] | None:
    """The words that start a binary of a platform here: none, or those of QEMU and a C library."""
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    processor, _, system = target.partition("-")
    if (sys.platform == "linux") != ("linux" in system):
        return None
    if processor == machine:
        return []
    emulator = shutil.which(f"qemu-{processor}")
    if emulator is None or "musl" in system:
        return [emulator] if emulator else None
    library = Path("/usr", f"{processor}-linux-gnu")
    return [emulator, "-L", str(library)] if library.is_dir() else None


def objcopy(*words: str | Path) -> None:
    """Runs the toolchain's own llvm-objcopy, which reads binaries of every platform."""
    asked = ["rustc", "--print", "sysroot"]
    printed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    sysroot = Path(printed.strip())
    program = next(sysroot.glob("lib/rustlib/*/bin/rust-objcopy"))
    variables = {**os.environ, "LD_LIBRARY_PATH": str(sysroot / "lib")}
    subprocess.run([program, *words], env=variables, check=True)


def repack(wheel: Path, folder: Path, krt: Path, licences: str) -> None:
    """Writes a wheel to a folder, with another binary and with what is known of its components."""
    with tempfile.TemporaryDirectory() as unpacked:
        run_wheel("unpack", "--dest", unpacked, wheel)
        (content,) = Path(unpacked).iterdir()
        (script,) = content.glob("*.data/scripts/krt")
        shutil.copy(krt, script)
        (information,) = content.glob("*.dist-info")
        (information / "licenses").mkdir(exist_ok=True)
        (information / "licenses/THIRD-PARTY").write_text(licences)
        for bill in information.glob("sboms/*.json"):
            bill.write_text(complete(bill.read_text()))
        run_wheel("pack", "--dest-dir", folder, content)


def run_wheel(*words: str | Path) -> None:
    """Runs the tool `wheel`, which takes the time of files from SOURCE_DATE_EPOCH."""
    subprocess.run(
        [sys.executable, "-m", "wheel", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ,
    )
