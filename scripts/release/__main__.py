"""Builds what is published. `make dist`, `make wheel` and `make release` call this.

    scripts/release symbols BINARY     moves the debug information of a binary to a file beside it
    scripts/release build TARGET...    builds the binary and the wheel of platforms (target/builds)
    scripts/release compare A B        compares two builds of a platform, byte by byte
    scripts/release publish [URL]      makes a release of these builds (target/published)

URL is the folder that the release will be downloaded from; the default is the project's releases.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import build
import licences
from project import BUILDS, PUBLISHED, release_url, say


def main() -> None:
    """Does what was typed."""
    parser = argparse.ArgumentParser(prog="scripts/release")
    commands = parser.add_subparsers(dest="command", required=True)
    symbols = commands.add_parser("symbols")
    symbols.add_argument("binary", type=Path)
    builds = commands.add_parser("build")
    builds.add_argument("targets", nargs="+")
    builds.add_argument("--profile", default=build.PROFILE)
    compare = commands.add_parser("compare")
    compare.add_argument("builds", nargs=2, type=Path)
    release = commands.add_parser("publish")
    release.add_argument("url", nargs="?")
    release.add_argument("--builds", type=Path, default=BUILDS)
    release.add_argument("--to", type=Path, default=PUBLISHED)
    release.add_argument(
        "--krt", type=Path, required=True, help="a binary that runs on this machine"
    )
    words = parser.parse_args()
    if words.command == "symbols":
        build.split(words.binary)
        build.weigh(words.binary, build.MOST_BINARY)
    elif words.command == "compare":
        build.compare(*words.builds)
    elif words.command == "build":
        for target in words.targets:
            built = build.build(target, licences.third_party(target), words.profile)
            say(f"built {built}")
    else:
        # It needs certifi, which `make dist` does without.
        import container
        import publish

        url = (words.url or release_url()).rstrip("/")
        publish.publish(words.builds, words.to, words.krt, url)
        for image in words.to.glob("*-image.tar"):
            container.start(image)
        say(f"wrote {words.to}")


if __name__ == "__main__":
    main()
