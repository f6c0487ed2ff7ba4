//! `krt doctor`: shows what krt finds on this machine, and what is missing for which use.

use crate::{about, cache, error::Result, exit, output};
use clap::Args;
use krt_environment::{Environments, FoundProgram, ProcessEnv, Program, Version};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
A missing program is not an error: each line names its use. `krt check PATH` reports the programs
that a package needs.")]
pub(crate) struct DoctorArgs {
    /// Print JSON: `krt` has the binary, `programs` one object for each program
    #[arg(long)]
    json: bool,
}

/// A program that krt starts or works beside.
struct Wanted {
    name: &'static str,
    program: Program,
    purpose: &'static str,
    /// The oldest version that krt supports.
    oldest: Option<&'static str>,
    /// How to install it with each package manager; `any` without one.
    install: Install,
}

/// The commands that install a program.
struct Install {
    apt: Option<&'static str>,
    brew: Option<&'static str>,
    any: &'static str,
}

const UV: Wanted = Wanted {
    name: "uv",
    program: Program { names: &["uv"], folders: &[], version_arguments: &["--version"] },
    purpose: "creates environments of Python nodes several times faster than pip",
    oldest: None,
    install: Install { apt: None, brew: Some("brew install uv"), any: "pip install uv" },
};
const GO: Wanted = Wanted {
    name: "go",
    program: Program { names: &["go"], folders: &[], version_arguments: &["version"] },
    purpose: "builds nodes in Go",
    oldest: Some("1.20"),
    install: Install { apt: None, brew: Some("brew install go"), any: "download it from https://go.dev/dl" },
};
const CARGO: Wanted = Wanted {
    name: "cargo",
    program: Program { names: &["cargo"], folders: &[], version_arguments: &["--version"] },
    purpose: "builds nodes in Rust",
    oldest: Some("1.91"),
    install: Install {
        apt: None,
        brew: Some("brew install rustup && rustup default stable"),
        any: "follow https://rustup.rs",
    },
};
const NATS_SERVER: Wanted = Wanted {
    name: "nats-server",
    program: Program { names: &["nats-server"], folders: &["/usr/sbin"], version_arguments: &["--version"] },
    purpose: "carries messages among machines; runs executables that were built with kre-go 2.1",
    oldest: Some("2.2"),
    install: Install {
        apt: Some("sudo apt-get install nats-server"),
        brew: Some("brew install nats-server"),
        any: "download it from https://nats.io/download",
    },
};
const BROWSER: Wanted = Wanted {
    name: "browser",
    program: Program {
        names: &["google-chrome", "chromium", "firefox", "chromium-browser"],
        folders: &[
            "/Applications/Google Chrome.app/Contents/MacOS",
            "/Applications/Firefox.app/Contents/MacOS",
        ],
        version_arguments: &["--version"],
    },
    purpose: "shows the dashboard; a browser of another machine does, too",
    oldest: None,
    install: Install {
        apt: Some("sudo apt-get install chromium"),
        brew: Some("brew install --cask firefox"),
        any: "download one, for example from https://www.mozilla.org/firefox",
    },
};
const PYTHON_PURPOSE: &str = "runs nodes in Python";
const PYTHON_INSTALL: Install = Install {
    apt: Some("sudo apt-get install python3 python3-venv"),
    brew: Some("brew install python"),
    any: "uv python install 3.12, or download it from https://www.python.org/downloads",
};
const APT: Program = Program { names: &["apt-get"], folders: &[], version_arguments: &["--version"] };
const BREW: Program = Program { names: &["brew"], folders: &[], version_arguments: &["--version"] };

/// What was looked for, and what was found.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    version: Option<String>,
    path: Option<PathBuf>,
    purpose: &'static str,
    /// How to install or update it, unless it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Found,
    TooOld,
    Missing,
}

#[derive(Debug, Serialize)]
struct Findings {
    krt: about::About,
    programs: Vec<Finding>,
}

/// The package manager that commands are shown for.
#[derive(Debug, Clone, Copy)]
enum Manager {
    Apt,
    Brew,
    Other,
}

/// Looks for every program, and prints what was found.
pub(crate) fn execute(args: &DoctorArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = Findings { krt: about::About::new(), programs: runtime.block_on(examine())? };
    match args.json {
        true => output::print_json(&serde_json::to_string_pretty(&findings)?)?,
        false => output::print(&text(&findings))?,
    }
    Ok(exit::SUCCESS)
}

async fn examine() -> Result<Vec<Finding>> {
    let process_env = ProcessEnv::of_process();
    let manager = match (APT.find(&process_env).await, BREW.find(&process_env).await) {
        (_, Some(_)) => Manager::Brew,
        (Some(_), None) => Manager::Apt,
        (None, None) => Manager::Other,
    };
    let pythons = Environments::new(cache::folder()?, None).pythons(Path::new(".")).await;
    let python = |found: Option<FoundProgram>| {
        finding("python", PYTHON_PURPOSE, found, None, &PYTHON_INSTALL, manager)
    };
    let mut findings: Vec<Finding> = pythons.into_iter().map(|found| python(Some(found))).collect();
    if findings.is_empty() {
        findings.push(python(None));
    }
    for wanted in [UV, GO, CARGO, NATS_SERVER, BROWSER] {
        let found = wanted.program.find(&process_env).await;
        findings.push(finding(wanted.name, wanted.purpose, found, wanted.oldest, &wanted.install, manager));
    }
    Ok(findings)
}

/// Judges one program.
fn finding(
    name: &'static str,
    purpose: &'static str,
    found: Option<FoundProgram>,
    oldest: Option<&str>,
    install: &Install,
    manager: Manager,
) -> Finding {
    let oldest: Option<Version> = oldest.and_then(|oldest| oldest.parse().ok());
    let state = match &found {
        None => State::Missing,
        Some(found) if oldest.is_some_and(|oldest| found.version < oldest) => State::TooOld,
        Some(_) => State::Found,
    };
    let command = match manager {
        Manager::Apt => install.apt,
        Manager::Brew => install.brew,
        Manager::Other => None,
    };
    Finding {
        name,
        state,
        version: found.as_ref().map(|found| found.version.to_string()),
        path: found.map(|found| found.path),
        purpose,
        install: (state != State::Found).then(|| command.unwrap_or(install.any)),
    }
}

/// Formats the findings for people: those that were found, then those that are missing with the remedy.
fn text(findings: &Findings) -> String {
    let mut lines = vec![findings.krt.text(), String::new()];
    let (found, other): (Vec<_>, Vec<_>) =
        findings.programs.iter().partition(|finding| finding.state == State::Found);
    let title = |finding: &Finding| match &finding.version {
        Some(version) => format!("{} {version}", finding.name),
        None => finding.name.to_owned(),
    };
    let width = found.iter().map(|finding| title(finding).len()).max().unwrap_or_default();
    lines.push("Found:".to_owned());
    for finding in found {
        let path = finding.path.as_deref().unwrap_or(Path::new("")).display();
        lines.push(format!("  {:width$}  {path}", title(finding)));
    }
    if !other.is_empty() {
        lines.extend([String::new(), "Missing, for these uses only:".to_owned()]);
    }
    for finding in other {
        let old = if finding.state == State::TooOld { " is too old" } else { "" };
        lines.push(format!("  {}{old}: {}", title(finding), finding.purpose));
        lines.push(format!("    to install it: {}", finding.install.unwrap_or_default()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(version: &str) -> FoundProgram {
        FoundProgram { path: "/usr/bin/tool".into(), version: version.parse().unwrap() }
    }

    #[test]
    fn programs_are_judged_by_their_versions() {
        let install = Install { apt: Some("apt"), brew: None, any: "any" };
        for (found, manager, state, command) in [
            (None, Manager::Apt, State::Missing, Some("apt")),
            (None, Manager::Brew, State::Missing, Some("any")),
            (None, Manager::Other, State::Missing, Some("any")),
            (Some(python("1.19.8")), Manager::Apt, State::TooOld, Some("apt")),
            (Some(python("1.20")), Manager::Apt, State::Found, None),
            (Some(python("2.0")), Manager::Other, State::Found, None),
        ] {
            let finding = finding("go", "builds nodes in Go", found, Some("1.20"), &install, manager);
            assert_eq!((finding.state, finding.install), (state, command));
        }
    }

    #[test]
    fn every_oldest_version_parses() {
        for wanted in [UV, GO, CARGO, NATS_SERVER, BROWSER] {
            assert!(wanted.oldest.is_none_or(|oldest| oldest.parse::<Version>().is_ok()), "{}", wanted.name);
        }
    }
}
