//! `krt new --from`: makes a package from the cells of a notebook.
//!
//! `notebook.py` reads the notebook, with Python's own parser; this writes what it found.

use super::{
    package::{self, create},
    template::{self, Templates},
};
use crate::{
    cache,
    error::{Context as _, Result, bail},
    exit, output, terminal,
};
use krt_environment::{Environments, FoundProgram, PythonChoice};
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

const SCRIPT: &str = include_str!("notebook.py");

/// The oldest Python whose parser gives the ends of statements.
const OLDEST_PYTHON: [u64; 2] = [3, 8];

/// What the script prints.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Refused { error: String, hint: String },
    Node(Node),
}

/// The node of a notebook.
#[derive(Debug, Deserialize)]
struct Node {
    /// The content of `main.py`.
    code: String,
    /// The lines of `requirements.txt`.
    requirements: Vec<String>,
    files: Vec<Copy>,
    /// Modules beside the notebook.
    modules: Vec<String>,
    /// What the user should look at.
    notes: Vec<String>,
}

/// A file to copy: its path below the notebook's folder, and below the package.
#[derive(Debug, Deserialize)]
struct Copy {
    source: String,
    target: String,
}

/// Creates the package, and prints the next steps.
pub(super) fn convert(folder: &Path, notebook: &Path, choice: Option<PythonChoice>) -> Result<ExitCode> {
    let node = match read(notebook, choice)? {
        Answer::Node(node) => node,
        Answer::Refused { error, hint } => bail!("{error}"; hint: "{hint}"),
    };
    let beside = notebook.parent().unwrap_or(Path::new(""));
    let title = notebook.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let new = create(folder, |staging, name| write(staging, name, &title, beside, &node))?;
    node.notes.iter().for_each(|note| terminal::print_note(note));
    let steps = [
        ("krt check", "see what is missing"),
        ("krt run .", "serve it"),
        ("krt call Predict '{}'", "ask it, from another terminal"),
    ];
    output::print(&new.next_steps(&new.own_node("Python"), &steps))?;
    Ok(exit::SUCCESS)
}

/// Runs the script.
fn read(notebook: &Path, choice: Option<PythonChoice>) -> Result<Answer> {
    fs::metadata(notebook).with_context(|| format!("cannot read `{}`", notebook.display()))?;
    let python = python(choice)?;
    let output = Command::new(&python)
        .args(["-I", "-c", SCRIPT])
        .arg(std::path::absolute(notebook)?)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", python.display()))?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().next_back().unwrap_or("it prints nothing");
        format!("`{}` cannot read `{}`: {last}", python.display(), notebook.display())
    })
}

/// The interpreter with the notebook's packages: the chosen one, or the one that nodes get.
fn python(choice: Option<PythonChoice>) -> Result<PathBuf> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let environments = Environments::new(cache::folder()?, choice);
    let found = runtime.block_on(environments.pythons(Path::new(".")));
    let is_new_enough = |found: &FoundProgram| found.version.release() >= &OLDEST_PYTHON[..];
    match found.into_iter().find(is_new_enough) {
        Some(found) => Ok(found.path),
        None => bail!("found no Python 3.8 or newer, which reads notebooks"; hint: "name one with --python"),
    }
}

fn write(folder: &Path, name: &str, title: &str, beside: &Path, node: &Node) -> io::Result<()> {
    let mut values = package::values(name, Templates::default(), true);
    values.push(("notebook", title.to_owned()));
    template::write(folder, &template::NOTEBOOK_PACKAGE, &values)?;
    let own = folder.join("src").join(name);
    fs::create_dir_all(&own)?;
    fs::write(own.join("main.py"), &node.code)?;
    if !node.requirements.is_empty() {
        fs::write(own.join("requirements.txt"), node.requirements.join("\n") + "\n")?;
    }
    for module in &node.modules {
        fs::copy(beside.join(module), own.join(module))?;
    }
    for Copy { source, target } in &node.files {
        let target = folder.join(target);
        fs::create_dir_all(target.parent().unwrap_or(folder))?;
        fs::copy(beside.join(source), target)?;
    }
    Ok(())
}
