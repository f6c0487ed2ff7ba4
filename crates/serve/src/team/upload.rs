//! Packages that come in: written, unpacked, checked, and then taken by the registry.

use super::{Event, Team};
use krt_model::name::Name;
use krt_package::{Loader, Package, Report, archive};
use krt_registry::{Actor, NewVersion, Version};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The file of a package's documentation, in it.
pub(crate) const README: &str = "docs/README.md";

/// A package that is on its way.
#[derive(Debug)]
pub struct Incoming {
    folder: TempDir,
}

/// Why a package is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It has errors.
    #[error("the package has errors")]
    Invalid {
        /// All that is wrong.
        report: Box<Report>,
    },
    /// It is no package.
    #[error(transparent)]
    Package(#[from] krt_package::Error),
    /// It cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The registry does not take it.
    #[error(transparent)]
    Registry(#[from] krt_registry::Error),
    /// It cannot be written.
    #[error("cannot write the package: {0}")]
    Write(#[from] io::Error),
}

impl Incoming {
    /// Where the archive is to be written.
    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("package.krt")
    }
}

impl Team {
    /// The largest package, bytes.
    pub fn max_package(&self) -> u64 {
        self.outside.max_package
    }

    /// What each version is held to.
    pub fn options(&self) -> &krt_runtime::Options {
        &self.outside.options
    }

    /// Makes room for a package that comes in. Dropped, it is gone.
    pub fn incoming(&self) -> io::Result<Incoming> {
        let folder =
            tempfile::Builder::new().prefix("upload-").tempdir_in(self.registry.folder().incoming())?;
        Ok(Incoming { folder })
    }

    /// Checks a package that was written, and makes a version of it.
    pub async fn create_version(
        &self,
        actor: Actor,
        runtime: Name,
        incoming: Incoming,
    ) -> Result<Version, UploadError> {
        let made = self.ask(move |registry| {
            let new = open(incoming.folder.path())?;
            Ok::<_, UploadError>(registry.create_version(&actor, &runtime, &new)?)
        });
        let version = made.await?;
        self.tell(Event::version(&version));
        Ok(version)
    }
}

/// Unpacks and checks the package in a folder.
fn open(folder: &Path) -> Result<NewVersion, UploadError> {
    let (archive, root) = (folder.join("package.krt"), folder.join("package"));
    archive::unpack_file(&archive, &root, &archive::Limits::default())?;
    let package = Loader::default().load(&root).map_err(|error| match error {
        krt_package::Error::Invalid { report, .. } => UploadError::Invalid { report },
        error => error.into(),
    })?;
    let package_bytes = fs::metadata(&archive)?.len();
    Ok(describe(&package, package_bytes, folder))
}

/// What the registry is told of a package.
pub(crate) fn describe(package: &Package, package_bytes: u64, folder: &Path) -> NewVersion {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let version = &package.version;
    NewVersion {
        name: version.name.clone(),
        description: version.description.clone(),
        config: version.config.clone(),
        package_bytes,
        warnings: serde_json::to_value(package.warnings.problems()).unwrap_or_default(),
        nodes: count(version.nodes.len()),
        workflows: count(version.workflows.len()),
        has_docs: package.root.join(README).is_file(),
        files: folder.to_owned(),
    }
}
