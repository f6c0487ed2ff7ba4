//! The `go.mod` and `go.sum` of a build: the user's, with the SDK in the place of what KRT v1 knows.

use crate::sdk::GO;
use serde_json::json;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The SDK's own module.
const SDK: &str = "github.com/konstellation-io/krt/sdk/go";

/// The modules that nodes of KRT v1 require, and the file of the SDK that stands for each.
const KNOWN: [(&str, &str); 5] = [
    ("github.com/konstellation-io/kre/runners/kre-go", RUNNER),
    ("github.com/konstellation-io/kre/runners/kre-go/v2", RUNNER),
    ("github.com/konstellation-io/kre-runners/kre-go", RUNNER),
    ("github.com/konstellation-io/kre-runners/kre-go/v2", RUNNER),
    ("github.com/konstellation-io/kre/libs/simplelogger", "compat/simplelogger/simplelogger.go"),
];
const RUNNER: &str = "compat/kre/kre.go";

/// What the modules that stand for those require, and the sums of that.
const REQUIRES: &str = "compat/requires.txt";
const SUMS: &str = "compat/sums.txt";

/// Where the compiler finds the modules: a folder that is not there, but for the compiler. An
/// executable names it, and so names nothing of this machine and is the same on each.
const NOWHERE: &str = "/krt-sdk";

/// The files of a build, in its workshop.
pub(super) struct Overlay {
    go_mod: PathBuf,
    seen: PathBuf,
}

impl Overlay {
    /// Writes them for a user's module. `sdk` is where the SDK lies.
    pub(super) fn write(workshop: &TempDir, module: &Path, sdk: &Path) -> io::Result<Self> {
        let place = |name: &str| workshop.path().join(name);
        let overlay = Self { go_mod: place("go.mod"), seen: place("seen.json") };
        fs::copy(module.join("go.mod"), &overlay.go_mod)?;
        fs::write(place("go.sum"), sums(module)?)?;
        let seen = json!({ "Replace": seen(workshop, sdk)? });
        fs::write(&overlay.seen, seen.to_string())?;
        Ok(overlay)
    }

    /// The command of `go` that completes the `go.mod`. What the user's own replaces is replaced anew.
    pub(super) fn edit(&self) -> Vec<OsString> {
        let modules = KNOWN.iter().map(|(path, _)| *path).chain([SDK]);
        let replace = modules.map(|path| format!("-replace={path}={NOWHERE}/{path}"));
        let words = ["mod", "edit"].map(str::to_owned).into_iter().chain(replace);
        words.map(OsString::from).chain([self.go_mod.clone().into()]).collect()
    }

    /// The flags of a build with these files.
    pub(super) fn flags(&self) -> [OsString; 2] {
        [("-modfile=", &self.go_mod), ("-overlay=", &self.seen)].map(|(name, path)| {
            let mut flag = OsString::from(name);
            flag.push(path);
            flag
        })
    }
}

/// The user's sums and those of what the SDK requires.
fn sums(module: &Path) -> io::Result<Vec<u8>> {
    let own = match fs::read(module.join("go.sum")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        own => own?,
    };
    Ok([&own, &b"\n"[..], GO.file(SUMS)].concat())
}

/// The files that the compiler sees, and where each really is.
fn seen(workshop: &TempDir, sdk: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let own = GO.names().map(|name| (format!("{NOWHERE}/{SDK}/{name}"), sdk.join(name)));
    let mut seen: BTreeMap<String, PathBuf> = own.collect();
    for (index, (path, source)) in KNOWN.iter().enumerate() {
        let go_mod = workshop.path().join(format!("{index}.mod"));
        fs::write(&go_mod, [b"module ", path.as_bytes(), b"\n\n", GO.file(REQUIRES)].concat())?;
        seen.insert(format!("{NOWHERE}/{path}/go.mod"), go_mod);
        seen.insert(format!("{NOWHERE}/{path}/module.go"), sdk.join(source));
    }
    Ok(seen)
}
