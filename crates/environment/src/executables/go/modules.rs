//! Locates the modules of a build: of its workspace, replaced by its files, and vendored.
//!
//! All of them must be in the package, so that it builds anywhere.

use super::directive::{self, Directive, Replace};
use super::replaced;
use super::vendor::Vendor;
use super::workspace::{UsedModule, Workspace};
use crate::executables::{BuildError, ExecutableSource};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

/// The modules of a build, beside those in the `go.mod`.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// Replacements to drop, as in `go mod edit`.
    pub(super) dropped: Vec<String>,
    /// Replaced modules with their replacements.
    pub(super) replaced: BTreeMap<String, String>,
    /// Further `go.sum` files.
    pub(super) sums: Vec<PathBuf>,
    /// The missing `go.mod` files of vendored modules.
    pub(super) manifests: Vec<(PathBuf, String)>,
}

impl Modules {
    /// The modules of a node's build; `flags` is the user's `GOFLAGS`.
    pub(super) fn of(node: &ExecutableSource, flags: &str) -> Result<Self, BuildError> {
        let go_mod = File::read(node.module.join("go.mod"))?;
        let workspace = Workspace::of(node);
        let folder = workspace.as_ref().map(|workspace| workspace.folder.as_path());
        let vendor = Vendor::of(node, &go_mod.directives, folder, flags);
        if let Some(vendor) = &vendor
            && let Some((line, message)) = vendor.difference(&go_mod.directives, workspace.is_some())
        {
            let hint = if workspace.is_some() { "go work vendor" } else { "go mod vendor" };
            return Err(go_mod.fault(node, line, message, format!("`{hint}` brings `vendor` up to date")));
        }
        let mut building = ModulesBuilder {
            node,
            vendor: vendor.as_ref(),
            modules: Self::default(),
            owner: BTreeMap::new(),
        };
        if let Some(workspace) = workspace {
            building.workspace(workspace, &go_mod)?;
        } else {
            building.own(&go_mod)?;
        }
        let mut modules = building.modules;
        for (module, folder, manifest) in vendor.iter().flat_map(Vendor::present) {
            if !replaced::is_ours(module) {
                modules.replaced.insert(module.to_owned(), folder.display().to_string());
                modules.manifests.push((folder.join("go.mod"), manifest));
            }
        }
        Ok(modules)
    }
}

/// The folders and files read beside a module: those of its workspace.
pub(super) fn beside(node: &ExecutableSource) -> Vec<PathBuf> {
    let Some(workspace) = Workspace::of(node) else { return Vec::new() };
    let replaced = directive::replaces(&workspace.directives);
    let replaced = replaced.iter().filter_map(|replace| replace.folder(&workspace.folder));
    let members = workspace.others.iter().map(|used| used.folder.clone());
    let own = [workspace.file(), workspace.sums(), workspace.folder.join("vendor")];
    own.into_iter().chain(members).chain(replaced).collect()
}

/// A `go.mod` or a `go.work`.
struct File {
    path: PathBuf,
    directives: Vec<Directive>,
}

impl File {
    fn read(path: PathBuf) -> Result<Self, BuildError> {
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, directives: directive::directives(&text) }),
            Err(source) => Err(BuildError::Read { path, source }),
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn fault(&self, node: &ExecutableSource, line: usize, message: String, hint: String) -> BuildError {
        BuildError::Module { node: node.name.clone(), file: self.path.clone(), line, message, hint }
    }
}

/// The modules under construction.
struct ModulesBuilder<'a> {
    node: &'a ExecutableSource,
    vendor: Option<&'a Vendor>,
    modules: Modules,
    /// The file of each replacement.
    owner: BTreeMap<String, PathBuf>,
}

impl ModulesBuilder<'_> {
    /// Checks the replacements in the node's own `go.mod`, which `go` reads itself.
    fn own(&mut self, go_mod: &File) -> Result<(), BuildError> {
        directive::replaces(&go_mod.directives).iter().try_for_each(|replace| self.check(go_mod, replace))
    }

    /// Replaces each module of a workspace by its own folder, and lets the workspace's replacements override
    /// those of its modules.
    fn workspace(&mut self, workspace: Workspace, go_mod: &File) -> Result<(), BuildError> {
        self.modules.sums.push(workspace.sums());
        let file = File { path: workspace.file(), directives: workspace.directives };
        let members =
            workspace.others.iter().map(|used| self.member(&file, used)).collect::<Result<Vec<_>, _>>()?;
        let names: BTreeSet<String> = members
            .iter()
            .filter_map(|member| directive::value(&member.directives, "module"))
            .map(str::to_owned)
            .collect();
        let replaces = directive::replaces(&file.directives);
        let overridden: BTreeSet<&str> = replaces.iter().map(|replace| &*replace.module).collect();
        let counts =
            |replace: &Replace| !names.contains(&replace.module) && !overridden.contains(&*replace.module);
        for replace in &replaces {
            self.take(&file, replace)?;
        }
        for replace in directive::replaces(&go_mod.directives) {
            match counts(&replace) {
                true => self.take(go_mod, &replace)?,
                false => self.modules.dropped.push(replace.key()),
            }
        }
        for member in &members {
            for replace in directive::replaces(&member.directives).iter().filter(|replace| counts(replace)) {
                self.take(member, replace)?;
            }
            self.modules.sums.push(member.folder().join("go.sum"));
            if let Some(module) = directive::value(&member.directives, "module") {
                let place = member.folder().canonicalize().unwrap_or_else(|_| member.folder().to_owned());
                self.modules.replaced.insert(module.to_owned(), place.display().to_string());
            }
        }
        Ok(())
    }

    /// The `go.mod` of another module in the workspace.
    fn member(&self, file: &File, used: &UsedModule) -> Result<File, BuildError> {
        let shown = &used.written;
        self.inside(&used.folder).map_err(|problem| {
            let hint =
                "a package holds all that it is built from: copy the module into it, or remove the line";
            file.fault(self.node, used.line, format!("uses `{shown}`, which {problem}"), hint.to_owned())
        })?;
        match used.folder.join("go.mod").is_file() {
            true => File::read(used.folder.join("go.mod")),
            false => {
                let message = format!("uses `{shown}`, which has no `go.mod`");
                Err(file.fault(self.node, used.line, message, "`go mod init` there makes one".to_owned()))
            }
        }
    }

    /// Adds a replacement, which applies to the whole workspace.
    fn take(&mut self, file: &File, replace: &Replace) -> Result<(), BuildError> {
        self.check(file, replace)?;
        let key = replace.key();
        let target = match (replace.folder(file.folder()), &replace.target) {
            (Some(folder), _) => folder.canonicalize().unwrap_or(folder).display().to_string(),
            (None, directive::Target::Module(module) | directive::Target::Folder(module)) => module.clone(),
        };
        if let Some(first) = self.modules.replaced.get(&key).filter(|first| **first != target) {
            let owner = self.owner.get(&key).map(|owner| self.shown(owner)).unwrap_or_default();
            let message = format!("replaces `{key}` by another module than `{owner}` does: `{first}`");
            let hint = format!("say in go.work which one counts: `go work edit -replace={key}=…`");
            return Err(file.fault(self.node, replace.line, message, hint));
        }
        self.owner.insert(key.clone(), file.path.clone());
        self.modules.replaced.insert(key, target);
        Ok(())
    }

    /// Refuses a replacement folder outside of the package.
    fn check(&self, file: &File, replace: &Replace) -> Result<(), BuildError> {
        let is_elsewhere = replaced::is_known(&replace.module)
            || self.vendor.is_some_and(|vendor| vendor.has(&replace.module));
        let Some(folder) = replace.folder(file.folder()).filter(|_| !is_elsewhere) else { return Ok(()) };
        let Err(problem) = self.inside(&folder) else { return Ok(()) };
        let (module, target) = (&replace.module, &replace.target);
        let written = match target {
            directive::Target::Folder(written) | directive::Target::Module(written) => written,
        };
        let message = format!("replaces `{module}` by `{written}`, which {problem}");
        let hint = "a package holds all that it is built from: copy the module into it, or vendor it: `go mod vendor`";
        Err(file.fault(self.node, replace.line, message, hint.to_owned()))
    }

    /// Whether a folder is in the package; the error says why not.
    fn inside(&self, folder: &Path) -> Result<(), &'static str> {
        let root = self.node.root.canonicalize().unwrap_or_else(|_| self.node.root.clone());
        match folder.canonicalize() {
            Ok(real) if real.starts_with(&root) => Ok(()),
            Ok(_) => Err("is outside of the package"),
            Err(_) if !normal(folder).starts_with(&self.node.root) => Err("is outside of the package"),
            Err(_) => Err("does not exist"),
        }
    }

    /// A path relative to the package's root, for messages.
    fn shown(&self, path: &Path) -> String {
        let normal = normal(path);
        normal.strip_prefix(&self.node.root).unwrap_or(&normal).display().to_string()
    }
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, part| {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
        normal
    })
}
