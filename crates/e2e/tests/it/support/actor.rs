//! A package with one Python node whose requests select what it does.

use super::krt::write_package;
use tempfile::TempDir;

const MANIFEST: &str = "\
version: actor-v1
description: Does what it is asked.
entrypoint:
  proto: public_input.proto
nodes:
  - name: actor
    src: src/actor/main.py
workflows:
  - name: act
    entrypoint: Act
    sequential:
      - actor
";

const PROTO: &str = "\
syntax = \"proto3\";
package actor;
service Entrypoint {
  rpc Act(Text) returns (Text);
}
message Text {
  string text = 1;
}
";

const MAIN: &str = "\
import os
from pathlib import Path

from public_input_pb2 import Text

SCRATCH = Path(os.environ.get(\"E2E_SCRATCH\", \".\"))


async def handler(ctx, data):
    request = Text()
    data.Unpack(request)
    return Text(text=await ACTS[request.text]())


async def hello():
    return \"hello\"


ACTS = {\"hello\": hello}
";

/// A package whose node has the act `hello`, and those that `acts` adds to the dictionary `ACTS`.
pub(crate) fn package(acts: &str) -> TempDir {
    let main = format!("{MAIN}{acts}");
    write_package(&[("krt.yml", MANIFEST), ("public_input.proto", PROTO), ("src/actor/main.py", &main)])
}

/// A package of another name, whose node has these keys and this source.
pub(crate) fn with(version: &str, keys: &str, source: &str) -> TempDir {
    let src = "src: src/actor/main.py\n";
    let manifest = MANIFEST.replace("actor-v1", version).replace(src, &format!("{src}    {keys}\n"));
    write_package(&[("krt.yml", &manifest), ("public_input.proto", PROTO), ("src/actor/main.py", source)])
}

/// Replaces a text in the node's source.
pub(crate) fn edit(package: &TempDir, from: &str, to: &str) {
    let path = package.path().join("src/actor/main.py");
    let text = std::fs::read_to_string(&path).expect("the package is ours");
    assert!(text.contains(from), "no `{from}` in:\n{text}");
    std::fs::write(path, text.replace(from, to)).expect("the package is ours");
}
