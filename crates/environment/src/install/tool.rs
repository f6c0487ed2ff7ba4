//! The installer: `uv` where there is one, else Python's own `venv` and `pip`.

use crate::{
    event::Tool,
    python::{Facts, is_at_least},
    surroundings::Surroundings,
};
use pep440_rs::Version;
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Variables that would lead an installer, or the Python it runs in, to another place than the
/// environment.
pub(super) const NEVER_PASSED: [&str; 17] = [
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "PIP_PYTHON",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PIP_DRY_RUN",
    "UV_PROJECT",
    "UV_PYTHON",
    "UV_PREFIX",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
];

/// Settings of pip that uv knows by another name, and what separates their values there. They count
/// unless uv's own are set. pip's configuration files are not for uv.
const LIKE_PIP: [(&str, &str, &str); 3] = [
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", " "),
    ("PIP_EXTRA_INDEX_URL", "UV_INDEX", " "),
    ("PIP_FIND_LINKS", "UV_FIND_LINKS", ","),
];

/// Nobody answers a question: git ends with an error instead of asking one, unless the user has said how
/// it asks.
const UNATTENDED: [(&str, &str); 3] =
    [("NO_COLOR", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")];

/// The first pip that installs into an environment that has none itself.
const PIP_FROM_OUTSIDE: [u64; 2] = [22, 3];

/// What installs, and how it is called.
pub(super) struct Installer {
    kind: Kind,
    /// The interpreter to make environments of.
    python: PathBuf,
}

enum Kind {
    /// The words that start uv, and its options.
    Uv { words: Vec<OsString>, options: Vec<OsString> },
    /// The pip of the interpreter, from outside the environment: it takes seconds less than one inside.
    PipOutside,
    /// A pip inside the environment.
    PipInside,
}

impl Installer {
    /// uv from `PATH` or from the interpreter's packages, if it runs; else pip.
    pub(super) async fn find(facts: &Facts, surroundings: &Surroundings) -> Self {
        let python = facts.python.clone();
        let on_path = surroundings.commands("uv").into_iter().map(|uv| vec![uv.into()]);
        let module = |name: &str| vec![python.clone().into(), OsString::from("-m"), OsString::from(name)];
        for words in on_path.chain([module("uv")]) {
            if version_of(&words, surroundings).await.is_some() {
                let no_index = surroundings.get("PIP_NO_INDEX").filter(|_| !has_uv_index(surroundings));
                let options = no_index.map(|_| "--no-index".into()).into_iter().collect();
                return Self { kind: Kind::Uv { words, options }, python };
            }
        }
        let pip = version_of(&module("pip"), surroundings).await;
        let kind = match pip.is_some_and(|version| is_at_least(&version, PIP_FROM_OUTSIDE)) {
            true => Kind::PipOutside,
            false => Kind::PipInside,
        };
        Self { kind, python }
    }

    pub(super) fn tool(&self) -> Tool {
        match self.kind {
            Kind::Uv { .. } => Tool::Uv,
            Kind::PipOutside | Kind::PipInside => Tool::Pip,
        }
    }

    /// The command that makes a virtual environment.
    pub(super) fn create(&self, folder: &Path) -> Vec<OsString> {
        let (folder, python) = (folder.as_os_str(), self.python.as_os_str());
        match &self.kind {
            Kind::Uv { words, .. } => {
                command(words, &["venv", "--no-project"], &[OsStr::new("--python"), python, folder])
            }
            Kind::PipOutside => command(&[python.into()], &["-m", "venv", "--without-pip"], &[folder]),
            Kind::PipInside => command(&[python.into()], &["-m", "venv"], &[folder]),
        }
    }

    /// The command that installs into an environment.
    pub(super) fn install(&self, folder: &Path, wanted: &[OsString]) -> Vec<OsString> {
        let inner = folder.join("bin/python").into_os_string();
        let install = OsStr::new("install");
        let mut command = match &self.kind {
            Kind::Uv { words, options } => {
                let mut command = command(words, &["pip", "install", "--python"], &[&inner]);
                command.extend_from_slice(options);
                command
            }
            Kind::PipOutside => {
                command(&[self.python.clone().into()], &["-m", "pip", "--python"], &[&inner, install])
            }
            Kind::PipInside => command(&[inner], &["-m", "pip"], &[install]),
        };
        command.extend_from_slice(wanted);
        command
    }

    /// The variables it runs with: the user's own settings for it hold. What it leaves behind when it is
    /// killed stays in the workshop.
    pub(super) fn variables(
        &self,
        surroundings: &Surroundings,
        workshop: &Path,
    ) -> BTreeMap<OsString, OsString> {
        let mut variables: BTreeMap<OsString, OsString> =
            UNATTENDED.iter().map(|(name, value)| (name.into(), value.into())).collect();
        variables.extend(surroundings.clone().without(&NEVER_PASSED).variables().clone());
        let fixed: &[(&str, &str)] = match self.tool() {
            Tool::Uv => &[("UV_NO_PROGRESS", "1"), ("UV_PYTHON_DOWNLOADS", "never")],
            Tool::Pip => &[
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                ("PIP_NO_INPUT", "1"),
                ("PIP_PROGRESS_BAR", "off"),
                ("PIP_USER", "0"),
                ("PYTHONUNBUFFERED", "1"),
            ],
        };
        variables.extend(fixed.iter().map(|(name, value)| (name.into(), value.into())));
        variables.insert("TMPDIR".into(), workshop.into());
        if self.tool() == Tool::Uv && !has_uv_index(surroundings) {
            variables.extend(LIKE_PIP.into_iter().filter_map(|names| like_pip(names, surroundings)));
        }
        variables
    }
}

/// Whether the user has told uv where packages come from.
fn has_uv_index(surroundings: &Surroundings) -> bool {
    ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"]
        .iter()
        .any(|name| surroundings.get(name).is_some())
}

/// uv's name and form of a setting that is made for pip.
fn like_pip(
    (pip, uv, separator): (&str, &str, &str),
    surroundings: &Surroundings,
) -> Option<(OsString, OsString)> {
    let value = surroundings.get(pip)?.to_str()?;
    let values: Vec<&str> = value.split_whitespace().collect();
    Some((uv.into(), values.join(separator).into()))
}

fn command(words: &[OsString], fixed: &[&str], arguments: &[&OsStr]) -> Vec<OsString> {
    let fixed = fixed.iter().map(OsString::from);
    words.iter().cloned().chain(fixed).chain(arguments.iter().map(OsString::from)).collect()
}

/// The version a tool says it has, if it runs: a version manager's command may stand for one that is
/// not there.
async fn version_of(words: &[OsString], surroundings: &Surroundings) -> Option<Version> {
    let variables = surroundings.clone().without(&NEVER_PASSED);
    let output = Command::new(&words[0])
        .args(&words[1..])
        .arg("--version")
        .env_clear()
        .envs(variables.variables())
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = output.await.ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1)?.parse().ok()
}
