"""The installer for any shell, and the formula for Homebrew."""

from __future__ import annotations

from pathlib import Path

from project import LICENCE, SUMMARY

HERE = Path(__file__).parent
# Homebrew's names of systems and processors. The static binary needs no glibc.
SYSTEMS = {"macos": "apple-darwin", "linux": "unknown-linux-musl"}
PROCESSORS = {"arm": "aarch64", "intel": "x86_64"}


def fill(template: str, **values: str) -> str:
    """The text of a template with each `@NAME@` replaced."""
    text = (HERE / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name.upper()}@", value)
    return text


def installer(sums: dict[str, str], version: str, url: str) -> str:
    """`krt-install.sh`, which knows the checksum of each archive."""
    lines = "\n".join(f"{digest} {name}" for name, digest in sorted(sums.items()))
    return fill("install.sh.in", version=version, url=url, archives=lines)


def formula(sums: dict[str, str], version: str, url: str) -> str:
    """`krt.rb`. The project's page is where its releases are."""
    lines = []
    for system, suffix in SYSTEMS.items():
        blocks = []
        for name, processor in PROCESSORS.items():
            archive = f"krt-{version}-{processor}-{suffix}.tar.gz"
            if archive in sums:
                blocks += [
                    f"    on_{name} do",
                    f'      url "{url}/{archive}"',
                    f'      sha256 "{sums[archive]}"',
                    "    end",
                ]
        lines += [f"  on_{system} do", *blocks, "  end"] if blocks else []
    page = url.partition("/releases/")[0]
    platforms = "\n".join(lines)
    return fill(
        "krt.rb.in",
        version=version,
        summary=SUMMARY,
        licence=LICENCE,
        homepage=page,
        platforms=platforms,
    )
