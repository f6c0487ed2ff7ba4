//! The needs of a node: compares the packages in its files with the imports in its sources.

use crate::{
    error::Error,
    finding::Finding,
    imports::{ImportTime, Imported, Imports, Installed, UpstreamPackage, packages, upstream_package},
    node_source::NodeSource,
    plan::{Files, Plan, Requires},
    python::{Facts, NEWER_PROTOBUF, OLDEST_PROTOBUF, is_at_least},
};
use krt_model::{hint, severity::Severity};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The files and imports of a node.
pub(crate) struct Need {
    pub(crate) node: String,
    root: PathBuf,
    src: PathBuf,
    /// The plan of its files; `None` without a deciding file.
    pub(crate) plan: Option<Plan>,
    /// The plan for its imports, without a deciding file.
    pub(crate) plan_of_imports: Option<Plan>,
    pub(crate) requires: Option<Requires>,
    imports: Imports,
}

/// The runtime of a node without a deciding file.
pub(crate) enum Basis {
    /// The interpreter itself, which has all its imports.
    Interpreter,
    /// An environment with `protobuf` and these packages.
    Environment(Option<Box<Plan>>),
}

impl Need {
    pub(crate) fn of(root: &Path, node: &NodeSource, files: Files) -> Result<Self, Error> {
        Ok(Self {
            node: node.name.clone(),
            root: root.to_owned(),
            src: node.src.clone(),
            plan: Plan::of(root, &node.src, files)?,
            plan_of_imports: None,
            requires: Requires::near(root, &node.src),
            imports: Imports::of(root, &node.src),
        })
    }

    /// The node's runtime without a deciding file, with findings.
    pub(crate) fn basis(&self, facts: &Facts) -> (Basis, Vec<Finding>) {
        let own = Installed::in_folders(facts.watched.clone());
        let has = |imported: &&Imported| own.has(&imported.module);
        let protobuf = facts.protobuf.as_ref().filter(|version| is_at_least(version, OLDEST_PROTOBUF));
        let is_newer = protobuf.is_some_and(|version| is_at_least(version, NEWER_PROTOBUF));
        let has_all = self.needed().all(|imported| has(&imported));
        let is_own = facts.is_environment || self.not_in_images().any(|imported| has(&imported));
        match protobuf {
            Some(protobuf) if has_all && (is_own || !is_newer) => {
                let newer = is_newer.then(|| self.newer_protobuf(facts, &protobuf.to_string()));
                (Basis::Interpreter, newer.into_iter().collect())
            }
            Some(_) if is_own && self.not_in_images().any(|imported| has(&imported)) => {
                (Basis::Interpreter, self.missing(&own, facts))
            }
            _ => {
                let upstream_packages = self.upstream_packages();
                let plan = (!upstream_packages.is_empty())
                    .then(|| Box::new(Plan::of_imports(self.root.join(&self.src), &upstream_packages)));
                (Basis::Environment(plan), self.without_interpreter())
            }
        }
    }

    /// The findings about a node without a deciding file, for any interpreter.
    pub(crate) fn without_interpreter(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.not_in_images().map(|imported| self.undeclared(imported)).collect();
        findings.extend(self.note_upstream());
        findings
    }

    /// The imports that an interpreter or environment lacks.
    pub(crate) fn missing(&self, installed: &Installed, facts: &Facts) -> Vec<Finding> {
        let lacks = |imported: &&Imported| !installed.has(&imported.module);
        let finding = |imported| {
            let mut finding = self.undeclared(imported);
            if self.plan.is_none() {
                finding.message += &format!(", and `{}` does not have", facts.python.display());
            }
            if installed.is_doubtful {
                finding.severity = Severity::Warning;
            }
            finding
        };
        self.needed().filter(lacks).map(finding).collect()
    }

    /// Whether imports are missing from its files; a declared package may bring them along.
    pub(crate) fn not_named(&self) -> bool {
        let Some(plan) = &self.plan else { return false };
        self.needed().any(|imported| !names(plan, &imported.module))
    }

    /// Modules that the node always needs.
    fn needed(&self) -> impl Iterator<Item = &Imported> {
        self.imports.modules.iter().filter(|imported| imported.when != ImportTime::Optional)
    }

    /// Those that KRT v1's images did not have.
    fn not_in_images(&self) -> impl Iterator<Item = &Imported> {
        self.needed().filter(|imported| upstream_package(&imported.module).is_none())
    }

    /// The packages of KRT v1's images among the imports.
    fn upstream_packages(&self) -> Vec<&'static UpstreamPackage> {
        self.imports.modules.iter().filter_map(|imported| upstream_package(&imported.module)).collect()
    }

    fn undeclared(&self, imported: &Imported) -> Finding {
        let module = &imported.module;
        let found_elsewhere = imported.elsewhere && upstream_package(module).is_none();
        let is_certain = imported.when == ImportTime::Always && !self.imports.is_doubtful && !found_elsewhere;
        let (message, hint) = match found_elsewhere {
            true => (
                format!("node `{}` imports `{module}`, which the package has in another folder", self.node),
                format!("move it to `{}`, or add its folder to `sys.path`", self.folder().display()),
            ),
            false => (
                format!("node `{}` imports `{module}`, which no file declares", self.node),
                self.how_to_add(module),
            ),
        };
        Finding {
            severity: if is_certain { Severity::Error } else { Severity::Warning },
            node: self.node.clone(),
            file: imported.file.clone(),
            location: Some(imported.location),
            message,
            hint,
        }
    }

    /// How to add a module: the line and the file.
    fn how_to_add(&self, module: &str) -> String {
        let Some(plan) = &self.plan else { return self.how_to_declare() };
        let package = packages(module).swap_remove(0);
        let file = plan.file.strip_prefix(&self.root).unwrap_or(&plan.file);
        let shown = file.display();
        match file.file_name().and_then(|name| name.to_str()) {
            Some("Pipfile") => format!("add `{package} = \"*\"` to `[packages]` of `{shown}`"),
            Some("pyproject.toml") if lists_by_poetry(&plan.file) => {
                format!("add `{package} = \"*\"` to `[tool.poetry.dependencies]` of `{shown}`")
            }
            Some("pyproject.toml") => format!("add `\"{package}\"` to `dependencies` of `{shown}`"),
            _ => format!("add the line `{package}` to `{shown}`"),
        }
    }

    /// How to declare all imports in a new file.
    fn how_to_declare(&self) -> String {
        let lines: BTreeSet<String> =
            self.needed().map(|imported| packages(&imported.module).swap_remove(0)).collect();
        let lines: Vec<String> = lines.iter().map(|line| format!("`{line}`")).collect();
        let file = self.folder().join("requirements.txt");
        let noun = if lines.len() == 1 { "line" } else { "lines" };
        format!("make a file `{}` with the {noun} {}", file.display(), lines.join(", "))
    }

    /// A note that the node gets packages that it imports and does not declare.
    fn note_upstream(&self) -> Option<Finding> {
        let upstream_packages = self.upstream_packages();
        let first =
            self.imports.modules.iter().find(|imported| upstream_package(&imported.module).is_some())?;
        let packages: BTreeSet<&str> =
            upstream_packages.iter().map(|upstream_packages| upstream_packages.package).collect();
        let packages = packages.into_iter().collect::<Vec<_>>().join("`, `");
        Some(Finding {
            severity: Severity::Note,
            node: self.node.clone(),
            file: first.file.clone(),
            location: Some(first.location),
            message: format!(
                "node `{}` declares no packages: it gets `{packages}`, which it imports",
                self.node
            ),
            hint: format!("to choose versions, {}", self.how_to_declare()),
        })
    }

    fn newer_protobuf(&self, facts: &Facts, protobuf: &str) -> Finding {
        let python = facts.python.display();
        Finding {
            severity: Severity::Note,
            node: self.node.clone(),
            file: self.src.clone(),
            location: None,
            message: format!(
                "node `{}` declares no packages: it runs in `{python}`, with its protobuf {protobuf}",
                self.node
            ),
            hint: format!(
                "code of KRT v1 may need `protobuf==4.25.*` in `{}`",
                self.folder().join("requirements.txt").display()
            ),
        }
    }

    /// A note about the node's interpreter.
    pub(crate) fn note(&self, message: &str) -> Finding {
        let (file, node) = (self.deciding_file(), self.node.clone());
        let message = format!("node `{node}`: {message}");
        Finding { severity: Severity::Note, node, file, location: None, message, hint: String::new() }
    }

    /// A finding about pins without a wheel for the default interpreter, and the consequence.
    pub(crate) fn about_wheels(&self, sentence: &str, instead: Option<&Facts>) -> Finding {
        let node = self.node.clone();
        let (severity, message, hint) = match instead {
            Some(facts) => (
                Severity::Note,
                format!("{sentence}: node `{node}` runs in Python {}", facts.version),
                String::new(),
            ),
            None => (
                Severity::Warning,
                format!("{sentence}: node `{node}` has to build it, which takes long and may fail"),
                "name such a Python with `--python`, or pin a version that has a wheel".to_owned(),
            ),
        };
        Finding { severity, node, file: self.deciding_file(), location: None, message, hint }
    }

    /// An error as a finding about the node.
    pub(crate) fn finding(&self, severity: Severity, error: &Error) -> Finding {
        let relative = |text: String| text.replace(&format!("{}/", self.root.display()), "");
        Finding {
            severity,
            node: self.node.clone(),
            file: self.deciding_file(),
            location: None,
            message: relative(hint::messages(error)),
            hint: relative(hint::hints(error).join("; ")),
        }
    }

    /// The deciding file, or the node's own, relative to the root if it is inside.
    pub(crate) fn deciding_file(&self) -> PathBuf {
        let file = self.plan.as_ref().map(|plan| plan.file.as_path());
        file.map_or(&*self.src, |file| file.strip_prefix(&self.root).unwrap_or(file)).to_owned()
    }

    /// The node's folder, relative to the root.
    fn folder(&self) -> &Path {
        self.src.parent().unwrap_or(Path::new(""))
    }
}

/// Whether a plan names a package that provides a module.
fn names(plan: &Plan, module: &str) -> bool {
    let packages = packages(module);
    let bare = |text: &str| text.to_ascii_lowercase().replace(['-', '_', '.'], "");
    let wanted = bare(module);
    plan.names_one_of(&packages)
        || plan.names.iter().any(|name| {
            let name = bare(name);
            let stem = name.strip_prefix("python").or_else(|| name.strip_suffix("python"));
            name == wanted || stem == Some(&wanted) || name.strip_prefix("py") == Some(&wanted)
        })
}

fn lists_by_poetry(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.contains("[tool.poetry.dependencies]") && !text.contains("\ndependencies")
}
