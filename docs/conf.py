"""How `make docs` builds the site from the pages in this folder."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
# The SDK is part of the binary: no files are added to its folder.
sys.dont_write_bytecode = True
sys.path[:0] = [str(FOLDER / "extensions"), str(ROOT / "sdk/python/src")]

import go_api  # noqa: E402
import http_api  # noqa: E402
import rust_api  # noqa: E402
import sequence  # noqa: E402

project = "krt"
author = "the krt authors"
html_title = "krt"
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
# Fonts and scripts come with the theme: the site works from a folder, offline.
extensions = ["myst_parser", "sphinx_copybutton", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
exclude_patterns = ["_build", "extensions"]
# Published beside the pages, for editors and for clients of the API.
html_extra_path = ["../crates/package/src/manifest/krt.schema.json", "../crates/serve/openapi.json"]
# A link that leads nowhere fails the build, since warnings do.
nitpicky = True
# Types of Python and protobuf, whose documentation is elsewhere.
nitpick_ignore_regex = [("py:.*", ".*")]
# Docstrings are Markdown as far as code is concerned: `name`.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"

# What the line `<!-- made: NAME -->` of a page is replaced by.
MADE = {
    "http-api": lambda: http_api.render((ROOT / "crates/serve/openapi.json").read_text()),
    "go": lambda: go_api.render(ROOT / "sdk/go", "./kre"),
    "rust": lambda: rust_api.render(ROOT / "sdk/rust/src"),
}


def fill(app, docname, source):
    """Fills in what is made from other files."""
    for name, make in MADE.items():
        mark = f"<!-- made: {name} -->"
        if mark in source[0]:
            source[0] = source[0].replace(mark, make())


def outdated(app, env, added, changed, removed):
    """Pages that are made from other files are always built."""
    return {f"reference/{name}" for name in MADE} & env.found_docs


def setup(app):
    """Connects the above."""
    app.add_directive("mermaid", sequence.Diagram)
    app.connect("source-read", fill)
    app.connect("env-get-outdated", outdated)
