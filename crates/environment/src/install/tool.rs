//! The installer: `uv` if available, else Python's own `venv` and `pip`.

use crate::{
    event::Tool,
    process_env::ProcessEnv,
    program,
    python::{Facts, is_at_least},
};
use pep440_rs::Version;
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Variables that would direct an installer, or its Python, away from the environment.
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

/// Settings of pip with their names in uv and the separator of their values there. They apply unless uv's own
/// are set. uv does not read pip's configuration files.
const PIP_SETTINGS: [(&str, &str, &str); 3] = [
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", " "),
    ("PIP_EXTRA_INDEX_URL", "UV_INDEX", " "),
    ("PIP_FIND_LINKS", "UV_FIND_LINKS", ","),
];

/// Prevents prompts: git fails instead of asking, unless the user has configured how it asks.
const NO_PROMPTS: [(&str, &str); 3] =
    [("NO_COLOR", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")];

/// The first pip that installs into an environment without pip.
const PIP_FROM_OUTSIDE: [u64; 2] = [22, 3];

/// The installer and its command.
pub(super) struct Installer {
    kind: Kind,
    /// The base interpreter of environments.
    python: PathBuf,
}

enum Kind {
    /// The words that start uv, and its options.
    Uv { words: Vec<OsString>, options: Vec<OsString> },
    /// The interpreter's pip, from outside the environment: seconds faster than one inside.
    PipOutside,
    /// A pip inside the environment.
    PipInside,
}

impl Installer {
    /// Finds a working uv on `PATH` or among the interpreter's packages; else pip.
    pub(super) async fn find(facts: &Facts, process_env: &ProcessEnv) -> Self {
        let python = facts.python.clone();
        let on_path = process_env.commands("uv").into_iter().map(|uv| vec![uv.into()]);
        let module = |name: &str| vec![python.clone().into(), OsString::from("-m"), OsString::from(name)];
        for words in on_path.chain([module("uv")]) {
            if version_of(&words, process_env).await.is_some() {
                let no_index = process_env.get("PIP_NO_INDEX").filter(|_| !has_uv_index(process_env));
                let options = no_index.map(|_| "--no-index".into()).into_iter().collect();
                return Self { kind: Kind::Uv { words, options }, python };
            }
        }
        let pip = version_of(&module("pip"), process_env).await;
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

    /// The command that creates a virtual environment.
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

    /// The command that makes uv resolve its standard input with wheels only, for a version of Python that
    /// need not be installed.
    pub(super) fn compile(&self, version: &str) -> Vec<OsString> {
        let Kind::Uv { words, options } = &self.kind else { return Vec::new() };
        let python = self.python.as_os_str();
        let fixed = ["pip", "compile", "--quiet", "--no-deps", "--no-header", "--only-binary", ":all:"];
        let mut command = command(words, &fixed, &[OsStr::new("--python"), python]);
        command.extend_from_slice(options);
        command.extend(["--python-version", version, "-"].map(OsString::from));
        command
    }

    /// Its environment: the user's own settings apply. Leftovers of a killed run stay in the work folder.
    pub(super) fn variables(
        &self,
        process_env: &ProcessEnv,
        work_folder: &Path,
    ) -> BTreeMap<OsString, OsString> {
        let mut variables: BTreeMap<OsString, OsString> =
            NO_PROMPTS.iter().map(|(name, value)| (name.into(), value.into())).collect();
        variables.extend(process_env.clone().without(&NEVER_PASSED).variables().clone());
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
        variables.insert("TMPDIR".into(), work_folder.into());
        if self.tool() == Tool::Uv && !has_uv_index(process_env) {
            variables.extend(PIP_SETTINGS.into_iter().filter_map(|names| pip_to_uv(names, process_env)));
        }
        variables
    }
}

/// Whether the user has set uv's index.
fn has_uv_index(process_env: &ProcessEnv) -> bool {
    ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"]
        .iter()
        .any(|name| process_env.get(name).is_some())
}

/// Converts a setting of pip to uv's name and form.
fn pip_to_uv(
    (pip, uv, separator): (&str, &str, &str),
    process_env: &ProcessEnv,
) -> Option<(OsString, OsString)> {
    let value = process_env.get(pip)?.to_str()?;
    let values: Vec<&str> = value.split_whitespace().collect();
    Some((uv.into(), values.join(separator).into()))
}

fn command(words: &[OsString], fixed: &[&str], arguments: &[&OsStr]) -> Vec<OsString> {
    let fixed = fixed.iter().map(OsString::from);
    words.iter().cloned().chain(fixed).chain(arguments.iter().map(OsString::from)).collect()
}

/// The version that a tool reports, if it runs: a version manager's shim may stand for a missing tool.
async fn version_of(words: &[OsString], process_env: &ProcessEnv) -> Option<Version> {
    let process_env = process_env.clone().without(&NEVER_PASSED);
    program::version_of(&command(words, &["--version"], &[]), &process_env).await
}
