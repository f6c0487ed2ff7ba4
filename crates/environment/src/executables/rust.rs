//! Rust: builds with `cargo`, with the embedded SDK in place of the crate `krt-sdk`.
//!
//! Intermediate files of `cargo` stay in the cache, for later builds and all packages. As usual, `cargo`
//! updates the `Cargo.lock` beside the user's `Cargo.toml`.

use super::{
    Build, BuildError, Command, cache_failed, cannot_keep,
    diagnostic::Diagnostic,
    toolchain::{CodeFiles, Tests, Toolchain},
};
use crate::{event::Step, lock::Lock, sdk};
use krt_model::language::Language;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The arguments of every build.
const BUILD: [&str; 4] = ["build", "--release", "--bins", "--message-format=json-render-diagnostics"];

pub(super) const TOOLCHAIN: Toolchain = Toolchain {
    language: Language::RUST,
    builder: "cargo",
    needed: "Rust 1.91 or newer (https://rustup.rs)",
    sdk: &sdk::RUST,
    form: "rust 1",
    decides,
    makes_several: true,
    beside: dependencies,
    // The outermost `Cargo.toml` is the module already.
    around: |_| Vec::new(),
    lock: Some("Cargo.lock"),
    hidden: &[".cargo"],
    code: CodeFiles { endings: &["rs", "toml", "lock"], names: &[] },
    make: |build, work_folder, sdk| Box::pin(make(build, work_folder, sdk)),
    tests: |build, work_folder, sdk| Box::pin(tests(build, work_folder, sdk)),
    diagnostics,
};

/// Builds the executable, and copies it to the work folder.
async fn make(build: &Build<'_>, work_folder: &TempDir, sdk: &Path) -> Result<PathBuf, BuildError> {
    let cargo = Cargo::enter(build, work_folder, sdk).await?;
    cargo.forget_own(&["--release"]).await?;
    let messages = cargo.results(&BUILD).await?;
    let made = work_folder.path().join("executable");
    let found = choose(build, executables(&messages))?;
    fs::copy(found, &made).map_err(|source| cannot_keep(&made, source))?;
    Ok(made)
}

/// The tests of the folder.
async fn tests(build: &Build<'_>, work_folder: &TempDir, sdk: &Path) -> Result<Tests, BuildError> {
    let cargo = Cargo::enter(build, work_folder, sdk).await?;
    cargo.forget_own(&[]).await?;
    let Command { arguments, variables, .. } = cargo.command(&["test", "--quiet"]);
    let command = Command { arguments, variables, results: None, lock: None };
    Ok(Tests { command, lock: Some(cargo.lock) })
}

/// `cargo` in the target folder that all packages share: one at a time.
struct Cargo<'a> {
    build: &'a Build<'a>,
    target: PathBuf,
    settings: PathBuf,
    /// The file of results.
    results: PathBuf,
    lock: Lock,
}

impl<'a> Cargo<'a> {
    async fn enter(build: &'a Build<'_>, work_folder: &TempDir, sdk: &Path) -> Result<Self, BuildError> {
        let target = build.cache.join("cargo");
        let file = target.with_extension("lock");
        let lock = Lock::take(&file, || build.report(Step::Waiting)).await.map_err(cache_failed)?;
        let settings = work_folder.path().join("settings.toml");
        fs::write(&settings, settings_of(build, sdk)).map_err(|source| cannot_keep(&settings, source))?;
        Ok(Self { build, target, settings, results: work_folder.path().join("results"), lock })
    }

    fn command(&self, args: &[&str]) -> Command<'_> {
        let mut arguments: Vec<OsString> = args.iter().map(OsString::from).collect();
        arguments.extend(["--config".into(), self.settings.clone().into()]);
        let variables = vec![("CARGO_TARGET_DIR", self.target.clone().into())];
        Command { arguments, variables, results: None, lock: Some(&self.lock) }
    }

    /// Removes compiled packages that have the names of the user's own: `cargo` tells crates of different
    /// workspaces apart only by name and age.
    async fn forget_own(&self, profile: &[&str]) -> Result<(), BuildError> {
        let metadata = self.results(&["metadata", "--no-deps", "--format-version", "1"]).await?;
        let names: Vec<_> = metadata.iter().flat_map(members).collect();
        let mut args = vec!["clean", "--quiet"];
        args.extend(profile);
        args.extend(names.iter().flat_map(|name| ["-p", name]));
        self.build.call(self.command(&args)).await
    }

    /// Runs a command and returns the JSON objects that it prints.
    async fn results(&self, args: &[&str]) -> Result<Vec<Value>, BuildError> {
        let failed = |source| cannot_keep(&self.results, source);
        let results = Some(File::create(&self.results).map_err(failed)?);
        self.build.call(Command { results, ..self.command(args) }).await?;
        let text = fs::read_to_string(&self.results).map_err(failed)?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// The names of a workspace's packages.
fn members(metadata: &Value) -> impl Iterator<Item = &str> {
    let packages = metadata["packages"].as_array();
    packages.into_iter().flatten().filter_map(|package| package["name"].as_str())
}

/// Configures the SDK's path, and the paths of this machine to keep out of the executable.
fn settings_of(build: &Build<'_>, sdk: &Path) -> String {
    let home = build.process_env.folder("CARGO_HOME", ".cargo");
    let kept_out = [(home, "/cargo"), (Some(build.cache.join("sdk")), "/krt-sdk")];
    let flags = kept_out.into_iter().filter_map(|(folder, name)| {
        Some(json!(format!("--remap-path-prefix={}={name}", folder?.display())).to_string())
    });
    format!(
        "patch.crates-io.krt-sdk.path = {}\nbuild.rustflags = [{}]\n",
        json!(sdk.display().to_string()),
        flags.collect::<Vec<_>>().join(", ")
    )
}

/// The executables that `cargo` reports.
fn executables(messages: &[Value]) -> Vec<PathBuf> {
    messages.iter().filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?))).collect()
}

/// The executable of the node: the only one, or the one with its name.
fn choose(build: &Build<'_>, mut made: Vec<PathBuf>) -> Result<PathBuf, BuildError> {
    if let [_] = &made[..] {
        return Ok(made.remove(0));
    }
    let named = |name: &str| made.iter().find(|path| path.file_name().is_some_and(|file| file == name));
    build.names().into_iter().find_map(named).cloned().ok_or_else(|| BuildError::NotOne {
        node: build.node.name.clone(),
        folder: build.node.folder.clone(),
        made: made.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect(),
    })
}

fn decides(name: &[u8]) -> bool {
    let settings: [&[u8]; 4] = [b"RUST", b"CARGO_BUILD_", b"CARGO_PROFILE_", b"CARGO_ENCODED_"];
    settings.iter().any(|start| name.starts_with(start)) || matches!(name, b"CC" | b"CXX" | b"PKG_CONFIG")
}

/// The errors of the compiler: a line `error: MESSAGE` or `error[CODE]: MESSAGE`, followed by the location.
fn diagnostics(output: &[String]) -> Vec<Diagnostic> {
    let mut message = None;
    let mut found = Vec::new();
    for line in output {
        if line.starts_with("error") || line.starts_with("warning") {
            message = line.strip_prefix("error").and_then(|rest| rest.split_once(": "));
        } else if let Some(place) = line.trim_start().strip_prefix("--> ")
            && let Some((_, message)) = message.take()
        {
            found.extend(Diagnostic::at(place, message));
        }
    }
    found
}

/// The folders that a `Cargo.toml` refers to by `path`: dependencies and patches.
fn dependencies(text: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Ok(manifest) = text.parse::<toml::Table>() {
        manifest.values().for_each(|value| collect(value, &mut paths));
    }
    paths
}

fn collect(value: &toml::Value, paths: &mut Vec<PathBuf>) {
    match value {
        toml::Value::Table(table) => {
            paths.extend(table.get("path").and_then(toml::Value::as_str).map(PathBuf::from));
            table.values().for_each(|value| collect(value, paths));
        }
        toml::Value::Array(array) => array.iter().for_each(|value| collect(value, paths)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_diagnostics() {
        let output = "\
   Compiling etl v0.1.0
warning: unused variable: `a`
  --> src/main.rs:2:9
   |
error[E0425]: cannot find value `b`: not found
  --> src/main.rs:3:5
   |
 --> src/main.rs:9:9
error: aborting
error: expected one of `!`
 --> ../shared/src/lib.rs:1:2";
        let output: Vec<_> = output.lines().map(str::to_owned).collect();
        let found = diagnostics(&output);
        let brief = found.iter().map(|of| (of.file.to_str().unwrap(), of.line, of.column, &*of.message));
        let expected = [
            ("src/main.rs", 3, 5, "cannot find value `b`: not found"),
            ("../shared/src/lib.rs", 1, 2, "expected one of `!`"),
        ];
        assert_eq!(brief.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_path_of_a_manifest_is_found() {
        let text = r#"
            [dependencies]
            shared = { path = "../shared", version = "1" }
            prost = "0.14"
            [target.'cfg(unix)'.dependencies]
            unix = { path = "../unix" }
            [[bin]]
            name = "etl"
            path = "src/etl.rs"
        "#;
        let mut found = dependencies(text);
        found.sort();
        assert_eq!(found, ["../shared", "../unix", "src/etl.rs"].map(PathBuf::from));
        assert_eq!(dependencies("not = [toml"), Vec::<PathBuf>::new());
    }
}
