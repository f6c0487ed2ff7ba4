//! Finds an interpreter.
//!
//! Without a choice: the active virtual environment, the active conda environment, then every `python3` and
//! every `python` on `PATH`; the first that runs and is new enough. For a version, also `pythonX.Y` on `PATH`
//! and the installations of pyenv and uv.

use super::{Facts, OLDEST_PYTHON, PythonChoice, is_at_least, probe::probe_remembered};
use crate::{
    error::Error,
    process_env::{ProcessEnv, is_executable},
};
use pep440_rs::Version;
use std::{
    cmp::Reverse,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Finds the chosen interpreter. Version managers' commands run in `folder`, which may have the manager's own
/// file (`.python-version`). `cache` caches answers.
pub(crate) async fn find(
    choice: Option<&PythonChoice>,
    process_env: &ProcessEnv,
    folder: &Path,
    cache: &Path,
) -> Result<Facts, Error> {
    let mut rejected = Vec::new();
    for candidate in candidates(choice, process_env) {
        match probe_remembered(&candidate, process_env, folder, cache).await {
            Ok(facts) => match mismatch(choice, &facts.version) {
                None => return Ok(facts),
                Some(mismatch) => rejected.push((candidate, mismatch)),
            },
            Err(problem) => rejected.push((candidate, problem)),
        }
    }
    let wanted = choice.map_or_else(|| "Python 3.7 or newer".to_owned(), ToString::to_string);
    Err(Error::NoPython { wanted, candidates: rejected })
}

/// All interpreters that are new enough, one per minor version, newest first.
pub(crate) async fn all(process_env: &ProcessEnv, folder: &Path, cache: &Path) -> Vec<Facts> {
    let mut found: Vec<Facts> = Vec::new();
    for candidate in every(process_env) {
        let Ok(facts) = probe_remembered(&candidate, process_env, folder, cache).await else { continue };
        let known = found.iter().any(|other| minor(&other.version) == minor(&facts.version));
        if !known && is_at_least(&facts.version, OLDEST_PYTHON) {
            found.push(facts);
        }
    }
    found.sort_by(|a, b| b.version.cmp(&a.version));
    found
}

/// The first two numbers of a version.
fn minor(version: &Version) -> &[u64] {
    let release = version.release();
    release.get(..2).unwrap_or(release)
}

/// The candidates for any version, best first.
fn every(process_env: &ProcessEnv) -> Vec<PathBuf> {
    let usual = candidates(None, process_env);
    let numbered = (6..=20).map(|minor| PythonChoice::Version(Version::new([3, minor])));
    let numbered = numbered.flat_map(|choice| candidates(Some(&choice), process_env));
    let mut seen = BTreeSet::new();
    usual.into_iter().chain(numbered).filter(|path| seen.insert(path.clone())).collect()
}

/// Why an interpreter's version does not fit.
fn mismatch(choice: Option<&PythonChoice>, version: &Version) -> Option<String> {
    if !is_at_least(version, OLDEST_PYTHON) {
        return Some(format!("is Python {version}, nodes need 3.7 or newer"));
    }
    match choice {
        Some(PythonChoice::Version(wanted)) if !version.release().starts_with(wanted.release()) => {
            Some(format!("is Python {version}"))
        }
        _ => None,
    }
}

/// The candidates, best first. All exist and are executable, except for a chosen path.
fn candidates(choice: Option<&PythonChoice>, process_env: &ProcessEnv) -> Vec<PathBuf> {
    let mut found = match choice {
        None => {
            [active(process_env), process_env.commands("python3"), process_env.commands("python")].concat()
        }
        Some(PythonChoice::Command(name)) => process_env.commands(name),
        Some(PythonChoice::Path(path)) => vec![interpreter_at(path)],
        Some(PythonChoice::Version(version)) => of_version(version, process_env),
    };
    let mut seen = Vec::new();
    found.retain(|path| !seen.contains(path) && (seen.push(path.clone()), true).1);
    found
}

/// A path is relative to the user's working directory, not to the package.
fn interpreter_at(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if path.is_dir() { path.join("bin/python") } else { path }
}

/// The interpreters of the active environments.
fn active(process_env: &ProcessEnv) -> Vec<PathBuf> {
    let folders = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(|name| process_env.get(name));
    folders.map(|folder| Path::new(folder).join("bin/python")).filter(|path| is_executable(path)).collect()
}

/// Skips pyenv's commands: they fail for a version that is not active, and the interpreters behind them are
/// candidates themselves.
fn of_version(version: &Version, process_env: &ProcessEnv) -> Vec<PathBuf> {
    let numbers: Vec<String> = version.release().iter().take(2).map(ToString::to_string).collect();
    let names = [format!("python{}", numbers.join(".")), "python3".to_owned(), "python".to_owned()];
    let pyenv = process_env.folder("PYENV_ROOT", ".pyenv");
    let shims = pyenv.as_ref().map(|root| root.join("shims"));
    let on_path = names.iter().flat_map(|name| process_env.commands(name));
    let on_path = on_path.filter(|path| path.parent() != shims.as_deref());
    let uv = process_env.folder("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python");
    let installed = pyenv.map(|root| root.join("versions")).into_iter().chain(uv);
    active(process_env)
        .into_iter()
        .chain(on_path)
        .chain(installed.flat_map(|folder| installed_below(&folder, &numbers.join("."))))
        .collect()
}

/// Interpreters in folders such as `3.12.1` or `cpython-3.12.1-linux`, newest first.
fn installed_below(folder: &Path, version: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(Vec<u64>, PathBuf)> = entries
        .map(|entry| (numbers_in(&entry.file_name().to_string_lossy()), entry.path().join("bin/python")))
        .filter(|(numbers, path)| {
            let text = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
            (text == version || text.starts_with(&format!("{version}."))) && is_executable(path)
        })
        .collect();
    found.sort_by_key(|(numbers, _)| Reverse(numbers.clone()));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The first version in a name.
fn numbers_in(name: &str) -> Vec<u64> {
    let start = name.find(|letter: char| letter.is_ascii_digit()).unwrap_or(name.len());
    let version = name[start..].split(|letter: char| letter != '.' && !letter.is_ascii_digit()).next();
    version.unwrap_or_default().split('.').map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, str::FromStr};

    fn executable(root: &Path, path: &str) -> PathBuf {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn candidates_are_sorted() {
        let machine = tempfile::tempdir().unwrap();
        let at = |path: &str| machine.path().join(path);
        for path in [
            "venv/bin/python",
            "one/python3",
            "one/python3.12",
            "two/python3",
            "two/python",
            "pyenv/shims/python3",
            "pyenv/shims/python3.12",
            "pyenv/versions/3.12.1/bin/python",
            "pyenv/versions/3.12.10/bin/python",
            "pyenv/versions/3.1.2/bin/python",
            "uv/cpython-3.12.4-linux-x86_64-gnu/bin/python",
        ] {
            executable(machine.path(), path);
        }
        fs::write(at("one/python"), "not executable").unwrap();
        let path = std::env::join_paths([at("pyenv/shims"), at("one"), at("two")]).unwrap();
        let process_env: ProcessEnv = [
            ("PATH", path),
            ("VIRTUAL_ENV", at("venv").into()),
            ("CONDA_PREFIX", at("gone").into()),
            ("PYENV_ROOT", at("pyenv").into()),
            ("UV_PYTHON_INSTALL_DIR", at("uv").into()),
        ]
        .into_iter()
        .collect();
        let table: [(Option<&str>, &[&str]); 6] = [
            (None, &["venv/bin/python", "pyenv/shims/python3", "one/python3", "two/python3", "two/python"]),
            (Some("python3.12"), &["pyenv/shims/python3.12", "one/python3.12"]),
            (Some("nothing"), &[]),
            (
                Some("3.12"),
                &[
                    "venv/bin/python",
                    "one/python3.12",
                    "one/python3",
                    "two/python3",
                    "two/python",
                    "pyenv/versions/3.12.10/bin/python",
                    "pyenv/versions/3.12.1/bin/python",
                    "uv/cpython-3.12.4-linux-x86_64-gnu/bin/python",
                ],
            ),
            (Some("@/venv"), &["venv/bin/python"]),
            (Some("@/one/python3"), &["one/python3"]),
        ];
        for (choice, expected) in table {
            let text = choice.map(|text| text.replace('@', &machine.path().to_string_lossy()));
            let choice = text.map(|text| PythonChoice::from_str(&text).unwrap());
            let expected: Vec<PathBuf> = expected.iter().map(|path| at(path)).collect();
            assert_eq!(candidates(choice.as_ref(), &process_env), expected, "{choice:?}");
        }
    }

    #[test]
    fn objections() {
        let version = |text| Version::from_str(text).unwrap();
        for (choice, found, fits) in [
            (None, "3.7.0", true),
            (None, "3.6.15", false),
            (None, "2.7.18", false),
            (None, "4.0.0", true),
            (Some("3"), "3.13.0", true),
            (Some("3.1"), "3.13.0", false),
            (Some("3.13"), "3.13.0", true),
            (Some("3.13.1"), "3.13.0", false),
            (Some("3.6"), "3.6.15", false),
            (Some("./python"), "3.6.15", false),
            (Some("./python"), "3.13.0", true),
        ] {
            let choice = choice.map(|text| PythonChoice::from_str(text).unwrap());
            assert_eq!(mismatch(choice.as_ref(), &version(found)).is_none(), fits, "{choice:?} {found}");
        }
    }
}
