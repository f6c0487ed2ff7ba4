//! From a path to a checked package: a folder, a `krt.yml`, or a `.krt` archive.

use crate::archive::{self, Limits};
use crate::check::{self, Target};
use crate::manifest::{self, FILE_NAMES};
use crate::problem::{Problem, Report, Source};
use crate::root::Root;
use crate::schema::{self, Schema};
use krt_model::version::Version;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A checked package.
#[derive(Debug)]
pub struct Package {
    /// Its folder, absolute.
    pub root: PathBuf,
    /// What it describes.
    pub version: Version,
    /// Its compiled `.proto` files.
    pub schema: Schema,
    /// What was found that does not keep it from running.
    pub warnings: Report,
    /// Where an archive was unpacked; removed with the package.
    _unpacked: Option<TempDir>,
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// Everything that is wrong.
    pub report: Report,
    /// The package's folder.
    pub root: PathBuf,
    /// What the package describes, if it has no errors.
    pub version: Option<Version>,
    /// Where an archive was unpacked; removed with what was found.
    _unpacked: Option<TempDir>,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder without a `krt.yml`.
    #[error("`{}` has no `krt.yml`{}", path.display(), archive::nested_hint(nested.as_deref()))]
    NoManifest {
        /// The folder.
        path: PathBuf,
        /// A folder in it that has one.
        nested: Option<PathBuf>,
    },
    /// An archive that cannot be unpacked.
    #[error("cannot unpack `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: archive::Error,
    },
    /// The package's files have errors.
    #[error("the package has {}", count(report.errors()))]
    Invalid {
        /// The errors, and the warnings.
        report: Box<Report>,
        /// The folder that the report's files are relative to.
        root: PathBuf,
    },
    /// A node's executable that cannot be made one.
    #[error("cannot make `{}` executable", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Loads a package that is to run here; see [`Loader`].
pub fn load(path: &Path) -> Result<Package, Error> {
    Loader::default().load(path)
}

/// How packages are loaded.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    /// Where the package is to run.
    pub target: Target,
    /// What an archive may hold.
    pub limits: Limits,
    /// Where archives are unpacked; the system's folder for temporary files if not set.
    pub work_dir: Option<PathBuf>,
}

/// What was read, good or bad.
struct Reading {
    report: Report,
    version: Option<Version>,
    schema: Option<Schema>,
}

impl Loader {
    /// Loads a package: a folder, its `krt.yml`, or an archive. Executables of nodes that lack the
    /// x bit get it.
    pub fn load(&self, path: &Path) -> Result<Package, Error> {
        let (root, unpacked) = self.open(path)?;
        let Reading { report, version, schema } = self.read(&root)?;
        let (Some(version), Some(schema), false) = (version, schema, report.has_errors()) else {
            return Err(Error::Invalid { report: Box::new(report), root: root.path().to_owned() });
        };
        make_executable(root.path(), &version)?;
        Ok(Package { root: root.path().to_owned(), version, schema, warnings: report, _unpacked: unpacked })
    }

    /// Finds everything that is wrong with a package, and changes nothing.
    pub fn check(&self, path: &Path) -> Result<Checked, Error> {
        let (root, unpacked) = self.open(path)?;
        let reading = self.read(&root)?;
        let version = reading.version.filter(|_| !reading.report.has_errors());
        Ok(Checked { report: reading.report, root: root.path().to_owned(), version, _unpacked: unpacked })
    }

    /// The package's folder; that of an archive lives as long as what comes with it.
    fn open(&self, path: &Path) -> Result<(Root, Option<TempDir>), Error> {
        let at = |source| Error::Read { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(at)?;
        let named = path.file_name().and_then(|name| name.to_str());
        if metadata.is_dir() {
            Ok((Root::open(path).map_err(at)?, None))
        } else if named.is_some_and(|name| FILE_NAMES.contains(&name)) {
            let path = path.canonicalize().map_err(at)?;
            let folder = path.parent().unwrap_or(&path);
            Ok((Root::open(folder).map_err(at)?, None))
        } else {
            let folder = self.unpack(path)?;
            Ok((Root::open(&folder.path().join(UNPACKED)).map_err(at)?, Some(folder)))
        }
    }

    fn unpack(&self, path: &Path) -> Result<TempDir, Error> {
        let at = |source| Error::Read { path: path.to_owned(), source };
        let mut builder = tempfile::Builder::new();
        builder.prefix("krt-");
        let folder = match &self.work_dir {
            Some(work_dir) => builder.tempdir_in(work_dir),
            None => builder.tempdir(),
        };
        let folder = folder.map_err(at)?;
        archive::unpack_file(path, &folder.path().join(UNPACKED), &self.limits)
            .map_err(|source| Error::Archive { path: path.to_owned(), source })?;
        Ok(folder)
    }

    fn read(&self, root: &Root) -> Result<Reading, Error> {
        let (name, text) = read_manifest(root)?;
        let mut report = Report::default();
        if name == FILE_NAMES[0] && root.path().join(FILE_NAMES[1]).exists() {
            let problem =
                Problem::warning(FILE_NAMES[1], "`krt.yaml` is not read: there is a `krt.yml`, too");
            report.push(problem.hint("keep one of them"));
        }
        let source = Source::new(name, String::from_utf8_lossy(&text));
        if let Err(error) = std::str::from_utf8(&text)
            && text.len() <= manifest::MAX_BYTES
        {
            report.push(not_utf8(&source, error.valid_up_to()));
            report.keep(source);
            return Ok(Reading { report, version: None, schema: None });
        }
        let (mut manifest, problems) = manifest::parse(&source, self.target);
        report.extend(problems);
        check::sources(&mut manifest, root, &source, &mut report);
        let schema = compile(&mut manifest, root, &source, &mut report);
        Ok(Reading { report, version: manifest.into_version(), schema })
    }
}

/// The name of the package's folder in the one it is unpacked to.
const UNPACKED: &str = "package";

/// Compiles the entrypoint that the manifest names, and leads the workflows from its RPCs.
fn compile(
    manifest: &mut manifest::Manifest,
    root: &Root,
    source: &Source,
    report: &mut Report,
) -> Option<Schema> {
    let proto = manifest.proto.as_mut()?;
    match root.find(&proto.value) {
        Ok(path) => proto.value = path,
        Err(error) => {
            report.push(check::missing(source, proto, &error));
            return None;
        }
    }
    let (schema, problems) = schema::compile(root, &proto.value);
    report.extend(problems);
    let mut schema = schema?;
    let mut problems = Report::default();
    check::workflows(manifest, &mut schema, source, &mut problems);
    schema::keep_sources(root, &mut problems);
    report.extend(problems);
    Some(schema)
}

/// The manifest's name and content; of one that is too large, enough to see that.
fn read_manifest(root: &Root) -> Result<(&'static str, Vec<u8>), Error> {
    for name in FILE_NAMES {
        let path = root.path().join(name);
        if path.is_file() {
            let read = read_start(&path, manifest::MAX_BYTES + 1);
            return Ok((name, read.map_err(|source| Error::Read { path, source })?));
        }
    }
    Err(Error::NoManifest { path: root.path().to_owned(), nested: nested(root.path()) })
}

fn read_start(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}

/// A folder in `root` that has a manifest.
fn nested(root: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|folder| FILE_NAMES.iter().any(|name| folder.join(name).is_file())).min()
}

fn not_utf8(source: &Source, good: usize) -> Problem {
    let problem = source.error(&(good..good), "the file is not UTF-8 text");
    problem.hint("save it with the encoding UTF-8")
}

/// Gives the executables of nodes the x bit that packing on another system may have lost.
fn make_executable(root: &Path, version: &Version) -> Result<(), Error> {
    for node in version.nodes.iter().filter(|node| !node.src.ends_with(".py")) {
        let path = root.join(&node.src);
        if node.build.is_some() && !path.exists() {
            continue;
        }
        archive::set_executable(&path).map_err(|source| Error::Mode { path, source })?;
    }
    Ok(())
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}

#[cfg(test)]
mod tests;
