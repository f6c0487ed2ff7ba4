//! The registry through its public API, on a real disk.

#![expect(clippy::unwrap_used, reason = "tests")]

mod audit;
mod identities;
mod tokens;
mod users;
mod versions;

use krt_model::{
    name::{Name, VariableName},
    version::{Variable, VariableKind},
};
use krt_registry::{Actor, NewRuntime, NewVersion, Registry, Version};
use std::fs;
use tempfile::TempDir;

/// A registry in its own folder, with the runtime `shop`.
struct Fixture {
    registry: Registry,
    folder: TempDir,
    ada: Actor,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        let ada = Actor { login: "ada".to_owned(), comment: "because".to_owned() };
        let fixture = Self { registry, folder, ada };
        fixture.runtime("shop", &[]).unwrap();
        fixture
    }

    fn runtime(&self, id: &str, hosts: &[&str]) -> Result<(), krt_registry::Error> {
        let new = NewRuntime {
            id: id.to_owned(),
            name: id.to_uppercase(),
            description: String::new(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        self.registry.create_runtime(&self.ada, &new).map(drop)
    }

    /// Uploads a version that needs the given variables.
    fn upload(&self, version: &str, variables: &[&str]) -> Result<Version, krt_registry::Error> {
        let files = self.registry.folder().incoming().join(version);
        fs::create_dir_all(files.join("package")).unwrap();
        fs::write(files.join("package.krt"), "bytes").unwrap();
        let variable =
            |text: &&str| Variable { name: VariableName::parse(text).unwrap(), kind: VariableKind::Text };
        let new = NewVersion {
            name: name(version),
            description: "a test".to_owned(),
            config: variables.iter().map(variable).collect(),
            package_bytes: 5,
            warnings: serde_json::json!([]),
            nodes: 1,
            workflows: 1,
            has_docs: false,
            files,
        };
        self.registry.create_version(&self.ada, &name("shop"), &new)
    }

    /// Reopens the folder, as a new process would.
    fn reopen(self) -> Self {
        let ada = self.ada.clone();
        let folder = self.close();
        Self { registry: Registry::open(folder.path()).unwrap(), folder, ada }
    }

    /// Closes the registry; keeps its folder.
    fn close(self) -> TempDir {
        self.folder
    }
}
