//! The modules that an interpreter can import, found by the files in its folders, without a process.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// `.pth` files that installers leave and that add no modules.
const HARMLESS: [&str; 3] = ["distutils-precedence.pth", "_virtualenv.pth", "a1_coverage.pth"];

/// The folders that packages are installed to.
pub(crate) struct Installed {
    folders: Vec<PathBuf>,
    /// Whether modules may come from sources that files do not show.
    pub(crate) is_doubtful: bool,
}

impl Installed {
    /// The modules in a virtual environment.
    pub(crate) fn in_environment(environment: &Path) -> Self {
        let versions = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
        Self::in_folders(versions.map(|version| version.path().join("site-packages")).collect())
    }

    /// The modules in these folders, and in those that their `.pth` files add.
    pub(crate) fn in_folders(folders: Vec<PathBuf>) -> Self {
        let mut installed = Self { folders: Vec::new(), is_doubtful: false };
        for folder in folders {
            installed.add_paths(&folder);
            installed.folders.push(folder);
        }
        installed
    }

    /// Reads a `.pth` file: a line is a folder, or code with an unknown effect.
    fn add_paths(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.ends_with(".pth") || HARMLESS.contains(&&*name) {
                continue;
            }
            let text = fs::read(entry.path()).unwrap_or_default();
            for line in String::from_utf8_lossy(&text).lines().map(str::trim) {
                match line.starts_with("import ") || line.starts_with("import\t") {
                    true => self.is_doubtful = true,
                    false if line.is_empty() || line.starts_with('#') => {}
                    false => self.folders.push(folder.join(line)),
                }
            }
        }
    }

    /// Whether a module, by its dotted name, can be imported.
    pub(crate) fn has(&self, module: &str) -> bool {
        let path: PathBuf = module.split('.').collect();
        self.folders.iter().any(|folder| {
            let path = folder.join(&path);
            path.is_dir() || path.with_extension("py").is_file() || is_compiled(&path)
        })
    }
}

fn is_compiled(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        file.strip_prefix(name).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".so"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_every_form_are_found() {
        let venv = tempfile::tempdir().unwrap();
        let site = venv.path().join("lib/python3.12/site-packages");
        fs::create_dir_all(site.join("google/cloud/storage")).unwrap();
        fs::create_dir_all(venv.path().join("src/editable")).unwrap();
        for file in ["six.py", "fast.cpython-312-x86_64-linux-gnu.so", "abi.abi3.so"] {
            fs::write(site.join(file), "").unwrap();
        }
        fs::write(site.join("distutils-precedence.pth"), "import os; x").unwrap();
        let source = venv.path().join("src");
        fs::write(site.join("_editable.pth"), format!("# paths\n{}\n", source.display())).unwrap();
        let installed = Installed::in_environment(venv.path());
        for (module, expected) in [
            ("google.cloud.storage", true),
            ("google.cloud.pubsub", false),
            ("six", true),
            ("fast", true),
            ("abi", true),
            ("editable", true),
            ("numpy", false),
        ] {
            assert_eq!(installed.has(module), expected, "{module}");
        }
        assert!(!installed.is_doubtful);
        fs::write(site.join("__editable__.lib.pth"), "import __editable___lib_finder").unwrap();
        assert!(Installed::in_environment(venv.path()).is_doubtful);
    }
}
