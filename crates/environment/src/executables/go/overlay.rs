//! The `go.mod` and `go.sum` of a build: the user's, with the SDK in place of KRT v1's modules.

use super::{
    modules::Modules,
    replaced::{CONFIG, KNOWN, REQUIRES, RUNNER, SDK, SUMS, is_known},
};
use crate::sdk::GO;
use serde_json::json;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The folder of the modules in the compiler's view only. An executable contains this path, so it reveals no
/// path of this machine and is the same on each.
const VIRTUAL_FOLDER: &str = "/krt-sdk";

/// The files of a build, in its work folder.
pub(super) struct Overlay {
    go_mod: PathBuf,
    seen: PathBuf,
    modules: Modules,
}

impl Overlay {
    /// Writes the files for a user's module. `sdk` is the folder of the SDK.
    pub(super) fn write(
        work_folder: &TempDir,
        module: &Path,
        modules: Modules,
        sdk: &Path,
    ) -> io::Result<Self> {
        let place = |name: &str| work_folder.path().join(name);
        let overlay = Self { go_mod: place("go.mod"), seen: place("seen.json"), modules };
        fs::write(&overlay.go_mod, fs::read(module.join("go.mod"))?)?;
        fs::write(place("go.sum"), sums(module, &overlay.modules.sums)?)?;
        let mut seen = seen(work_folder, sdk)?;
        for (index, (at, manifest)) in overlay.modules.manifests.iter().enumerate() {
            let file = place(&format!("vendored-{index}.mod"));
            fs::write(&file, manifest)?;
            seen.insert(at.display().to_string(), file);
        }
        let seen = json!({ "Replace": seen });
        fs::write(&overlay.seen, seen.to_string())?;
        Ok(overlay)
    }

    /// The command of `go` that completes the `go.mod`. Overrides the user's own replacements.
    pub(super) fn edit(&self) -> Vec<OsString> {
        let known = KNOWN.iter().map(|(path, _)| *path).chain([SDK]);
        let known = known.map(|path| format!("-replace={path}={VIRTUAL_FOLDER}/{path}"));
        let dropped = self.modules.dropped.iter().map(|key| format!("-dropreplace={key}"));
        let replaced = self.modules.replaced.iter().filter(|(key, _)| !is_known(key));
        let replaced = replaced.map(|(key, target)| format!("-replace={key}={target}"));
        let words = ["mod", "edit"].map(str::to_owned).into_iter();
        let words = words.chain(dropped).chain(replaced).chain(known);
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

/// The user's checksums and those of the SDK's requirements.
fn sums(module: &Path, more: &[PathBuf]) -> io::Result<Vec<u8>> {
    let mut sums = Vec::new();
    for file in [module.join("go.sum")].iter().chain(more) {
        match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            own => sums.extend(own?),
        }
        sums.push(b'\n');
    }
    sums.extend(GO.file(SUMS));
    Ok(sums)
}

/// The files in the compiler's view, with the real path of each.
fn seen(work_folder: &TempDir, sdk: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let own = GO.names().map(|name| (format!("{VIRTUAL_FOLDER}/{SDK}/{name}"), sdk.join(name)));
    let mut seen: BTreeMap<String, PathBuf> = own.collect();
    for (index, (path, source)) in KNOWN.iter().enumerate() {
        let go_mod = work_folder.path().join(format!("{index}.mod"));
        fs::write(&go_mod, [b"module ", path.as_bytes(), b"\n\n", &GO.file(REQUIRES)].concat())?;
        seen.insert(format!("{VIRTUAL_FOLDER}/{path}/go.mod"), go_mod);
        seen.insert(format!("{VIRTUAL_FOLDER}/{path}/module.go"), sdk.join(source));
        if *source == RUNNER {
            seen.insert(format!("{VIRTUAL_FOLDER}/{path}/config/config.go"), sdk.join(CONFIG));
        }
    }
    Ok(seen)
}
