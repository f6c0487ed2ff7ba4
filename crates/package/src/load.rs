//! Loads a checked package from a path: a folder, a `krt.yml`, or a `.krt` archive.

mod error;

pub use error::{Error, ReaderExit};

use crate::archive::{self, Limits};
use crate::check;
use crate::contents::Contents;
use crate::executable::System;
use crate::manifest::{self, FILE_NAMES};
use crate::open_inference;
use crate::path;
use crate::problem::{Problem, Report, Source};
use crate::reading::{Failure, PackageLocation, ReadRequest, Reading};
use crate::root::{self, Root};
use crate::schema::{self, Schema};
use crate::step::{Step, Steps};
use crate::target::Target;
use crate::text;
use krt_model::version::{Node, Version};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tempfile::TempDir;

/// A checked package.
#[derive(Debug)]
pub struct Package {
    /// Its folder, absolute.
    pub root: PathBuf,
    /// Its description.
    pub version: Version,
    /// Its compiled `.proto` files.
    pub schema: Schema,
    /// The findings that do not prevent it from running.
    pub warnings: Report,
    /// The unpacked archive, deleted with the package.
    unpacked: Option<TempDir>,
}

/// The result of a check.
#[derive(Debug)]
pub struct Checked {
    /// All findings.
    pub report: Report,
    /// The package's folder.
    pub root: PathBuf,
    /// The package's description, if it has no errors.
    pub version: Option<Version>,
    /// The unpacked archive, deleted with this result.
    unpacked: Option<TempDir>,
}

impl Package {
    /// Whether it was unpacked from an archive, to a temporary folder.
    pub fn is_unpacked(&self) -> bool {
        self.unpacked.is_some()
    }
}

impl Checked {
    /// Whether the package was unpacked from an archive, to a temporary folder.
    pub fn is_unpacked(&self) -> bool {
        self.unpacked.is_some()
    }
}

/// Loads a package to run it here; see [`Loader`].
pub fn load(path: &Path) -> Result<Package, Error> {
    Loader::default().load(path)
}

/// Options for loading packages.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    /// The target of the package.
    pub target: Target,
    /// The limits of an archive.
    pub limits: Limits,
    /// The folder to unpack archives in; by default the system's folder for temporary files.
    pub work_dir: Option<PathBuf>,
    /// Whether executables may be for another platform, as in a package that is only packed here.
    pub any_system: bool,
}

/// Reads a package, in this process or another.
pub trait Read: FnOnce(&ReadRequest) -> Result<Reading, Error> {}
impl<F: FnOnce(&ReadRequest) -> Result<Reading, Error>> Read for F {}

impl Loader {
    /// Loads a package: a folder, its `krt.yml`, or an archive. Makes nodes' executables executable where
    /// needed.
    pub fn load(&self, path: &Path) -> Result<Package, Error> {
        self.load_by(path, here)
    }

    /// Loads a package that `read` reads.
    pub fn load_by(&self, path: &Path, read: impl Read) -> Result<Package, Error> {
        let (place, unpacked) = self.find(path)?;
        let Reading { report, version, schema } = read(&self.order(place.clone()))?;
        let root = place.root;
        let (Some(version), Some(schema), false) = (version, schema, report.has_errors()) else {
            return Err(Error::Invalid { report: Box::new(report), root });
        };
        let schema = schema.decode().map_err(|source| Error::Descriptors { source })?;
        make_executable(&root, &version)?;
        Ok(Package { root, version, schema, warnings: report, unpacked })
    }

    /// Finds all problems of a package, and changes nothing.
    pub fn check(&self, path: &Path) -> Result<Checked, Error> {
        self.check_by(path, here)
    }

    /// Checks a package that `read` reads.
    pub fn check_by(&self, path: &Path, read: impl Read) -> Result<Checked, Error> {
        let (place, unpacked) = self.find(path)?;
        let checked = self.check_at(place, read)?;
        Ok(Checked { unpacked, ..checked })
    }

    /// Checks a package in a given place, and leaves unpacked files there.
    pub fn check_at(&self, place: PackageLocation, read: impl Read) -> Result<Checked, Error> {
        let order = self.order(place);
        let reading = read(&order)?;
        let version = reading.version.filter(|_| !reading.report.has_errors());
        Ok(Checked { report: reading.report, root: order.place.root, version, unpacked: None })
    }

    fn order(&self, place: PackageLocation) -> ReadRequest {
        ReadRequest { place, target: self.target, limits: self.limits.clone(), any_system: self.any_system }
    }

    /// The place of a package; an archive's temporary folder lives as long as the returned value.
    fn find(&self, path: &Path) -> Result<(PackageLocation, Option<TempDir>), Error> {
        let at = |source| Error::Read { path: path.to_owned(), source };
        let real = path.canonicalize().map_err(at)?;
        let named = path.file_name().and_then(|name| name.to_str());
        if real.is_dir() {
            Ok((PackageLocation { root: real, archive: None }, None))
        } else if named.is_some_and(|name| FILE_NAMES.contains(&name)) {
            let root = real.parent().unwrap_or(&real).to_owned();
            Ok((PackageLocation { root, archive: None }, None))
        } else {
            let folder = self.folder().map_err(at)?;
            let root = folder.path().canonicalize().map_err(at)?.join(UNPACKED);
            Ok((PackageLocation { root, archive: Some(path.to_owned()) }, Some(folder)))
        }
    }

    /// A folder to unpack in.
    fn folder(&self) -> io::Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("krt-");
        match &self.work_dir {
            Some(work_dir) => builder.tempdir_in(work_dir),
            None => builder.tempdir(),
        }
    }
}

/// Reads a package in this process.
fn here(order: &ReadRequest) -> Result<Reading, Error> {
    Ok(order.read(&(Rc::new(|_| {}) as Steps))?)
}

impl ReadRequest {
    /// Reads the package, and reports its steps.
    pub fn read(&self, steps: &Steps) -> Result<Reading, Failure> {
        let PackageLocation { root, archive } = &self.place;
        if let Some(archive) = archive {
            steps(Step::Unpack);
            archive::unpack_file(archive, root, &self.limits)
                .map_err(|source| Failure::Archive(archive.clone(), source))?;
        }
        let root = Root::open(root).map_err(|source| Failure::Read(root.clone(), source))?;
        self.read_folder(&root, steps)
    }

    /// The required platform of executables.
    fn system(&self) -> Option<System> {
        match self.target {
            _ if self.any_system => None,
            Target::Local => Some(System::HERE),
            Target::Cluster => Some(System::CLUSTER),
        }
    }

    fn read_folder(&self, root: &Root, steps: &Steps) -> Result<Reading, Failure> {
        steps(Step::Read);
        let listed = Contents::list(root.path());
        let listed = listed.map_err(|source| Failure::Read(root.path().to_owned(), source))?;
        let mut report = listed.problems();
        let Some((name, bytes)) = read_manifest(root)? else {
            // A dangling manifest link is in the report already, or added now.
            if !report.has_errors() {
                lost_manifests(root).into_iter().for_each(|problem| report.push(problem));
            }
            return Ok(Reading { report, version: None, schema: None });
        };
        if name == FILE_NAMES[0] && is_another(root, FILE_NAMES[1], name) {
            let problem =
                Problem::warning(FILE_NAMES[1], "`krt.yaml` is not read: there is a `krt.yml`, too");
            report.push(problem.hint("keep one of them"));
        }
        let (source, problem) = text::decode(name, &bytes);
        if let Some(problem) = problem
            && bytes.len() <= manifest::MAX_BYTES
        {
            report.push(problem);
            report.add_source(source);
            return Ok(Reading { report, version: None, schema: None });
        }
        let (mut manifest, problems) = manifest::parse(&source, self.target);
        report.extend(problems);
        check::sources(&mut manifest, root, &source, &mut report);
        check::executables(&mut manifest, root, &source, self.system(), &mut report);
        check::batches(&manifest, &source, &mut report);
        check::replicas(&manifest, &source, &mut report);
        check::forks(&manifest, &source, &mut report);
        let schema = compile(&mut manifest, root, &source, steps, &mut report);
        let schema = schema.and_then(|schema| schema.encode(&mut report));
        Ok(Reading { report, version: manifest.into_version(), schema })
    }
}

/// The name of the package's folder in the temporary folder.
const UNPACKED: &str = "package";

/// Compiles the manifest's entrypoint, and connects the workflows to its RPCs.
fn compile(
    manifest: &mut manifest::Manifest,
    root: &Root,
    source: &Source,
    steps: &Steps,
    report: &mut Report,
) -> Option<Schema> {
    let proto = manifest.proto.as_mut()?;
    match root.find(&proto.value) {
        Ok(short) => path::take(proto, short, source, report),
        Err(error) => {
            report.push(path::missing(source, proto, &error));
            return None;
        }
    }
    let (schema, problems) = schema::compile(root, &proto.value, steps);
    report.extend(problems);
    let mut schema = schema?;
    let mut problems = Report::default();
    check::workflows(manifest, &mut schema, source, &mut problems);
    open_inference::check(manifest, &schema, source, &mut problems);
    check::warmups(manifest, &schema, root, source, &mut problems);
    schema::keep_sources(root, &mut problems);
    report.extend(problems);
    Some(schema)
}

/// The manifest's name and content; of a too large one, only enough to detect that. `None` where a manifest
/// is a link that does not lead to a file of the package.
fn read_manifest(root: &Root) -> Result<Option<(&'static str, Vec<u8>)>, Failure> {
    for name in FILE_NAMES {
        match root.find(name) {
            Ok(_) => {
                let path = root.path().join(name);
                let read = read_start(&path, manifest::MAX_BYTES + 1);
                return Ok(Some((name, read.map_err(|source| Failure::Read(path, source))?)));
            }
            Err(root::Error::Missing { .. } | root::Error::NotFile { .. }) => {}
            Err(_) => return Ok(None),
        }
    }
    Err(Failure::NoManifest(root.path().to_owned(), nested(root.path())))
}

/// Why existing manifests cannot be read.
fn lost_manifests(root: &Root) -> Vec<Problem> {
    let error =
        |name: &str| root.find(name).err().filter(|error| !matches!(error, root::Error::Missing { .. }));
    let lost = FILE_NAMES.iter().filter_map(|name| Some((name, error(name)?)));
    lost.map(|(name, error)| Problem::error(name, error.to_string()).maybe_hint(error.hint())).collect()
}

/// Whether a file exists that is not the same file under another name.
fn is_another(root: &Root, name: &str, other: &str) -> bool {
    let real = |name: &str| root.path().join(name).canonicalize().ok();
    real(name).is_some_and(|found| Some(found) != real(other))
}

fn read_start(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}

/// A folder in `root` with a manifest.
fn nested(root: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|folder| FILE_NAMES.iter().any(|name| folder.join(name).is_file())).min()
}

/// Restores the executable bit of nodes' executables, which packing on another system may have lost.
fn make_executable(root: &Path, version: &Version) -> Result<(), Error> {
    for node in version.nodes.iter().filter(|node| !runs_from_source(node)) {
        let path = root.join(&node.src);
        if node.build.is_some() && !path.exists() {
            continue;
        }
        archive::set_executable(&path).map_err(|source| Error::Mode { path, source })?;
    }
    Ok(())
}

/// Whether `src` is a source file that an interpreter runs.
fn runs_from_source(node: &Node) -> bool {
    node.language.is_some_and(|language| language.compiled().is_none())
}

#[cfg(test)]
mod tests;
