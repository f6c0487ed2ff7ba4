//! Uploads of packages: written, unpacked, checked, then registered.

use super::{Event, Team};
use krt_model::name::Name;
use krt_package::{Report, archive, reading::PackageLocation};
use krt_reader::CancelHandle;
use krt_registry::{Actor, NewVersion, Version};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The path of the documentation in a package.
pub(crate) const README: &str = "docs/README.md";

/// How many uploads are read at once: each may use a processor, and memory.
pub(super) const MAX_CONCURRENT: usize = 4;

/// An upload in progress.
#[derive(Debug)]
pub struct Incoming {
    folder: TempDir,
}

/// Why an upload is refused.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum UploadError {
    /// The package has errors.
    #[error("the package has errors")]
    Invalid {
        /// All errors.
        report: Box<Report>,
    },
    /// It is not a package.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Package(#[from] krt_package::Error),
    /// It cannot be unpacked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Archive(#[from] archive::Error),
    /// The registry refuses it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Registry(#[from] krt_registry::Error),
    /// It cannot be written.
    #[error("cannot write the package")]
    Write(#[from] io::Error),
}

impl Incoming {
    /// The path of the archive to write.
    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("package.krt")
    }
}

impl Team {
    /// The largest package, in bytes.
    pub fn max_package(&self) -> u64 {
        self.launch.max_package
    }

    /// The limits of each version.
    pub fn options(&self) -> &krt_runtime::Options {
        &self.launch.options
    }

    /// Creates a folder for an upload, deleted on drop.
    pub fn incoming(&self) -> io::Result<Incoming> {
        let folder =
            tempfile::Builder::new().prefix("upload-").tempdir_in(self.registry.folder().incoming())?;
        Ok(Incoming { folder })
    }

    /// Checks an uploaded package, and creates a version from it.
    pub async fn create_version(
        &self,
        actor: Actor,
        runtime: Name,
        incoming: Incoming,
    ) -> Result<Version, UploadError> {
        let _turn = self.uploads.acquire().await;
        let cancel = CancelHandle::default();
        // A client that leaves drops this future.
        let _leaves = cancel.on_drop();
        let made = self.with_registry(move |registry| {
            let new = open(incoming.folder.path(), &cancel)?;
            Ok::<_, UploadError>(registry.create_version(&actor, &runtime, &new)?)
        });
        let version = made.await?;
        self.notify(Event::version(&version));
        Ok(version)
    }
}

/// Unpacks and checks the package in a folder.
fn open(folder: &Path, cancel: &CancelHandle) -> Result<NewVersion, UploadError> {
    let (archive, root) = (folder.join("package.krt"), folder.join("package"));
    let package_bytes = fs::metadata(&archive)?.len();
    let place = PackageLocation { root, archive: Some(archive) };
    let checked = krt_reader::check_at(place, cancel).map_err(|error| match error {
        krt_package::Error::Archive { source, .. } => UploadError::Archive(source),
        error => error.into(),
    })?;
    match &checked.version {
        Some(version) => {
            Ok(describe(version, &checked.report, &checked.root, Files { package_bytes, folder }))
        }
        None => Err(UploadError::Invalid { report: Box::new(checked.report) }),
    }
}

/// The files of an uploaded package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) package_bytes: u64,
    pub(crate) folder: &'a Path,
}

/// The version as the registry stores it.
pub(crate) fn describe(
    version: &krt_model::version::Version,
    warnings: &Report,
    root: &Path,
    files: Files<'_>,
) -> NewVersion {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    NewVersion {
        name: version.name.clone(),
        description: version.description.clone(),
        config: version.config.clone(),
        package_bytes: files.package_bytes,
        warnings: serde_json::to_value(warnings.problems()).unwrap_or_default(),
        nodes: count(version.nodes.len()),
        workflows: count(version.workflows.len()),
        has_docs: root.join(README).is_file(),
        files: files.folder.to_owned(),
    }
}
