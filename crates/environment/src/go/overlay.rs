//! The `go.mod` and `go.sum` of a build: the user's, with the SDK in the place of what KRT v1 knows.

use crate::sdk::GO;
use std::{
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

/// The files of a build, in its workshop.
pub(super) struct Overlay {
    file: PathBuf,
    replacements: Vec<(&'static str, PathBuf)>,
}

impl Overlay {
    /// Writes them for a user's module. `sdk` is where the SDK lies.
    pub(super) fn write(workshop: &TempDir, module: &Path, sdk: &Path) -> io::Result<Self> {
        let file = workshop.path().join("go.mod");
        fs::copy(module.join("go.mod"), &file)?;
        let mut sums = match fs::read(module.join("go.sum")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            sums => sums?,
        };
        sums.push(b'\n');
        sums.extend(GO.file(SUMS));
        fs::write(workshop.path().join("go.sum"), sums)?;
        let mut replacements = vec![(SDK, sdk.to_owned())];
        for (path, source) in KNOWN {
            let folder = workshop.path().join("modules").join(path);
            fs::create_dir_all(&folder)?;
            let requires = [b"module ", path.as_bytes(), b"\n\n", GO.file(REQUIRES)].concat();
            fs::write(folder.join("go.mod"), requires)?;
            fs::write(folder.join("module.go"), GO.file(source))?;
            replacements.push((path, folder));
        }
        Ok(Self { file, replacements })
    }

    /// The command of `go` that completes the `go.mod`. What the user's own replaces is replaced anew.
    pub(super) fn edit(&self) -> Vec<OsString> {
        let replace = |(path, folder): &(&str, PathBuf)| {
            let mut flag = OsString::from(format!("-replace={path}="));
            flag.push(folder);
            flag
        };
        let words = ["mod", "edit"].into_iter().map(OsString::from);
        words.chain(self.replacements.iter().map(replace)).chain([self.file.clone().into()]).collect()
    }

    /// The flag of a build with these files.
    pub(super) fn flag(&self) -> OsString {
        let mut flag = OsString::from("-modfile=");
        flag.push(&self.file);
        flag
    }
}
