//! Valid and invalid packages in `krt run` (docs/reference/krt-v1.md#package).

use crate::support::{
    Krt,
    krt::{binary, write_package},
};
use serde_json::json;
use std::{fs, path::Path, process::Command};

const MANIFEST: &str = "\
version: shop-v1
description: Prices.
entrypoint:
  proto: public_input.proto
config:
  variables: [CURRENCY]
  files: [RATES]
nodes:
  - name: etl
    src: src/etl/main.py
    gpu: true
  - name: model
    src: src/model/main.py
workflows:
  - name: price
    entrypoint: Price
    sequential: [etl, model]
";

const PROTO: &str = "\
syntax = \"proto3\";
package shop;
service Entrypoint {
  rpc Price(Note) returns (Note);
  rpc Idle(Note) returns (Note);
}
message Note { string text = 1; }
";

const ECHO: &str = "async def handler(ctx, data):\n    return data\n";

const MODEL: &str = "\
import os
from public_input_pb2 import Note


async def handler(ctx, data):
    with open(ctx.path('models/rate')) as file:
        return Note(text=' '.join([file.read(), os.environ['CURRENCY'], os.environ['RATES']]))
";

fn files(manifest: &'static str) -> [(&'static str, &'static str); 8] {
    [
        (manifest, MANIFEST),
        ("public_input.proto", PROTO),
        ("src/etl/main.py", ECHO),
        ("src/model/main.py", MODEL),
        ("src/model/__pycache__/main.cpython-27.pyc", "junk of another Python"),
        ("models/rate", "1.5"),
        ("models/notes.txt", "left out"),
        (".krtignore", "*.txt\n"),
    ]
}

#[track_caller]
fn pack(folder: &Path, out: &Path) {
    let packed = Command::new(binary()).arg("pack").arg(folder).arg("-o").arg(out).output().unwrap();
    assert!(packed.status.success(), "{packed:?}");
}

#[tokio::test]
async fn a_folder_a_manifest_and_an_archive_are_the_same_package() {
    for manifest in ["krt.yml", "krt.yaml"] {
        let folder = write_package(&files(manifest));
        let rates = folder.path().join("rates.txt");
        fs::write(&rates, "of a file").unwrap();
        let archive = folder.path().join("shop.krt");
        pack(folder.path(), &archive);
        for path in [folder.path(), &folder.path().join(manifest), &archive] {
            let service = Krt::run_at(path)
                .described_by(folder.path())
                .flag("--set", "CURRENCY=EUR")
                .flag("--set-file", format!("RATES={}", rates.display()))
                .start()
                .await;
            let answer = service.call("Price", json!({})).await.unwrap();
            assert_eq!(answer, json!({ "text": "1.5 EUR of a file" }), "{}", path.display());
            let ended = service.stop().await;
            let warning = "RPC `Idle` has no workflow: its callers will get `UNIMPLEMENTED`";
            let text = ended.lines.text();
            assert!(text.contains(warning) && text.contains("public_input.proto:5:7"), "{text}");
        }
        let list = Command::new("tar").arg("tzf").arg(&archive).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        assert!(list.contains("models/rate\n"), "{list}");
        for left_out in ["__pycache__", "notes.txt", "shop.krt"] {
            assert!(!list.contains(left_out), "{list}");
        }
    }
}

#[tokio::test]
async fn missing_configs_and_unknown_keys_do_not_prevent_a_start() {
    let config = "config:\n  variables: [CURRENCY]\n  files: [RATES]\n";
    for other in
        ["", "config:\n", "config: {variables: null}\n", "config: {variables: [], files: []}\nrunner: x\n"]
    {
        let folder = write_package(&files("krt.yml"));
        let manifest = MANIFEST.replace(config, other).replace("[etl, model]", "[etl]");
        fs::write(folder.path().join("krt.yml"), manifest).unwrap();
        let service = Krt::run_at(folder.path()).start().await;
        assert_eq!(service.call("Price", json!({ "text": "x" })).await.unwrap(), json!({ "text": "x" }));
        let ended = service.stop().await;
        let text = ended.lines.text();
        assert_eq!(text.contains("unknown key `runner` in the package"), other.contains("runner"), "{text}");
        assert!(text.contains("node `model` is in no workflow: it will not be started"), "{text}");
    }
}

#[tokio::test]
async fn manifest_errors_have_a_line() {
    let shape = "lowercase letters, digits and `-` only, with a letter or digit at both ends";
    let long = "a-name-of-twenty-one1";
    let rows: &[(&str, &str, &str, &str)] = &[
        ("version: shop-v1", "version: Shop_v1", "krt.yml:1:10", shape),
        ("version: shop-v1", "version: -shop", "krt.yml:1:10", shape),
        ("version: shop-v1", "version: a-name-of-twenty-one1", "krt.yml:1:10", long),
        ("version: shop-v1\n", "", "krt.yml:1:1", "the package has no `version`"),
        ("description: Prices.", "description: ''", "krt.yml:2:14", "`description` is empty"),
        ("description: Prices.\n", "", "krt.yml:1:1", "the package has no `description`"),
        ("public_input.proto", "public_input.txt", "krt.yml:4:10", ".proto"),
        ("public_input.proto", "other.proto", "krt.yml:4:10", "`other.proto` does not exist"),
        ("[CURRENCY]", "[currency]", "krt.yml:6:15", "`currency`"),
        ("[CURRENCY]", "[_CURRENCY]", "krt.yml:6:15", "`_CURRENCY`"),
        ("[RATES]", "[RATES_]", "krt.yml:7:11", "`RATES_`"),
        ("name: etl", "name: Etl", "krt.yml:9:11", shape),
        ("name: model", "name: etl", "krt.yml:12:11", "`etl`"),
        ("src/etl/main.py", "../main.py", "krt.yml:10:10", "`../main.py` leads out of the package"),
        ("src/etl/main.py", "src/etl/mian.py", "krt.yml:10:10", "`src/etl/mian.py` does not exist"),
        ("    src: src/etl/main.py\n", "", "krt.yml:9:5", "node `etl` has no `src`"),
        (
            "gpu: true",
            "gpu: maybe",
            "krt.yml:11:10",
            "`gpu` must be `true`, `false`, `optional`, a number up to 64 or a mapping with its keys, not `maybe`",
        ),
        ("name: price", "name: pr/ce", "krt.yml:15:11", shape),
        ("entrypoint: Price", "entrypoint: Prize", "krt.yml:16:17", "the entrypoint has no RPC `Prize`"),
        ("[etl, model]", "[]", "krt.yml:17:17", "`sequential` is empty: at least one is needed"),
        ("[etl, model]", "[etl, modle]", "krt.yml:17:23", "there is no node `modle`"),
        (
            "workflows:\n",
            "workflows:\n  - {name: again, entrypoint: Price, sequential: [etl]}\n",
            "krt.yml:17:17",
            "two workflows lead from the RPC `Price`",
        ),
        (
            "workflows:\n",
            "workflows:\n  - {name: price, entrypoint: Idle, sequential: [etl]}\n",
            "krt.yml:16:11",
            "`price`",
        ),
    ];
    for (from, to, place, message) in rows {
        let folder = write_package(&files("krt.yml"));
        assert_eq!(MANIFEST.matches(from).count(), 1, "{from}");
        fs::write(folder.path().join("krt.yml"), MANIFEST.replace(from, to)).unwrap();
        let ended = Krt::run_at(folder.path()).end().await;
        let text = ended.lines.text();
        assert!(ended.code == Some(1) && text.contains(place) && text.contains(message), "{to}: {text}");
    }
}

#[tokio::test]
async fn all_errors_are_reported_at_once() {
    let folder = write_package(&files("krt.yml"));
    let wrong = MANIFEST.replace("shop-v1", "Shop").replace("[RATES]", "[rates]").replace("Price", "Prize");
    fs::write(folder.path().join("krt.yml"), wrong).unwrap();
    let text = Krt::run_at(folder.path()).end().await.lines.text();
    for place in ["krt.yml:1:10", "krt.yml:7:11", "krt.yml:16:17"] {
        assert!(text.contains(place), "{text}");
    }
    assert!(text.contains("the package has 3 errors"), "{text}");
}
