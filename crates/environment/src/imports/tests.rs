use super::{ImportTime::*, *};
use std::fs;

/// The external imports of a node in `src/a/main.py`, in a package with these files.
fn imports(files: &[(&str, &str)]) -> Imports {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Imports::of(root.path(), Path::new("src/a/main.py"))
}

fn brief(imports: &Imports) -> Vec<(&str, &str, usize, ImportTime)> {
    let brief = |found: &'_ Imported| (found.location.line, found.when);
    imports
        .modules
        .iter()
        .map(|found| {
            let (line, when) = brief(found);
            (found.module.as_str(), found.file.to_str().unwrap(), line, when)
        })
        .collect()
}

#[test]
fn local_modules_are_followed() {
    let found = imports(&[
        (
            "src/a/main.py",
            "import os\nimport helper\nfrom lib import inner\nimport krt\nfrom public_input_pb2 import X\nimport google.protobuf",
        ),
        ("src/a/helper.py", "import numpy as np\nimport main\ndef f():\n    import pandas"),
        ("src/a/lib/__init__.py", "from .near import x\nfrom . import far"),
        ("src/a/lib/inner.py", "from sklearn.svm import SVC"),
        ("src/a/lib/near.py", "from ..lib.deep.x import y"),
        ("src/a/lib/far.py", "import far_away"),
        ("src/a/lib/deep/x.py", "import yaml"),
        ("src/a/unused.py", "import never"),
    ]);
    assert_eq!(
        brief(&found),
        [
            ("numpy", "src/a/helper.py", 1, Always),
            ("pandas", "src/a/helper.py", 4, Perhaps),
            ("yaml", "src/a/lib/deep/x.py", 1, Always),
            ("far_away", "src/a/lib/far.py", 1, Always),
            ("sklearn", "src/a/lib/inner.py", 1, Always),
        ]
    );
    assert!(!found.is_doubtful);
}

#[test]
fn the_most_certain_import_counts() {
    let found = imports(&[
        (
            "src/a/main.py",
            "try:\n  import helper\nexcept ImportError:\n  pass\ndef f():\n  import late\n  import numpy\nimport late",
        ),
        ("src/a/helper.py", "import numpy"),
        ("src/a/late.py", "import torch"),
    ]);
    assert_eq!(
        brief(&found),
        [("torch", "src/a/late.py", 1, Always), ("numpy", "src/a/main.py", 7, Perhaps)]
    );
}

#[test]
fn a_changed_search_path_finds_modules_anywhere() {
    let found = imports(&[
        ("src/a/main.py", "import sys\nsys.path.insert(0, '..')\nimport shared\nimport outside"),
        ("src/common/shared.py", "import pandas"),
    ]);
    assert_eq!(
        brief(&found),
        [("outside", "src/a/main.py", 4, Always), ("pandas", "src/common/shared.py", 1, Always)]
    );
    assert!(found.is_doubtful);
    let found = imports(&[("src/a/main.py", "import shared"), ("src/common/shared.py", "import pandas")]);
    assert!(found.modules[0].elsewhere && !found.is_doubtful);
}

#[test]
fn shared_names_are_distinguished() {
    let found = imports(&[(
        "src/a/main.py",
        "from google.cloud import storage, bigquery\nimport google.auth.transport\nfrom google import protobuf\nfrom google.protobuf import any_pb2",
    )]);
    let modules: Vec<_> = found.modules.iter().map(|found| found.module.as_str()).collect();
    assert_eq!(modules, ["google.cloud.bigquery", "google.cloud.storage", "google.auth"]);
}

#[test]
fn namespaces_compiled_modules_and_cycles() {
    let found = imports(&[
        ("src/a/main.py", "import space.part\nimport fast\nimport helper"),
        ("src/a/space/part.py", "import helper"),
        ("src/a/fast.cpython-311-x86_64-linux-gnu.so", ""),
        ("src/a/helper.py", "import space.part"),
    ]);
    assert_eq!(brief(&found), []);
    assert_eq!(brief(&imports(&[])), []);
    assert_eq!(brief(&imports(&[("src/a/main.py", "\u{feff}import numpy\nx = (")])).len(), 1);
}
