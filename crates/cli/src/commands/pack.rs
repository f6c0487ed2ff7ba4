//! `krt pack`: packs a folder into a `.krt` file.

use super::check;
use crate::{
    build,
    error::{Context as _, Result, bail, ensure},
    exit, output, service, terminal,
};
use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use krt_environment::Inherited;
use krt_package::{
    Error, Loader,
    archive::{self, Packed, Progress},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt pack`.
#[derive(Debug, Args)]
#[command(after_help = "\
Builds nodes in Go and Rust first, and puts their executables where `src` says.

Leaves out the files that .krtignore names, .git, .krt, .krt.schema.json, .dvc, __pycache__,
virtual environments, and archives at the package's root.

A symbolic link becomes a copy of its target. A link that leads out of the package is an error.

Archives are reproducible: the same content gives the same bytes. A complete new archive replaces
an earlier one of the same name atomically.")]
pub(crate) struct PackArgs {
    /// The package's folder
    #[arg(default_value = ".")]
    dir: PathBuf,

    /// File to create [default: NAME.krt in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Also require what a cluster needs: an `image` for the entrypoint and each node
    #[arg(long, conflicts_with = "no_check")]
    cluster: bool,

    /// Pack despite errors; needs --output
    #[arg(long, requires = "output")]
    no_check: bool,
}

/// Checks and packs, then prints a summary.
pub(crate) fn execute(args: PackArgs) -> Result<ExitCode> {
    let dir = &args.dir;
    ensure!(dir.is_dir(), "`{}` is not a folder", dir.display());
    let named = if args.no_check { None } else { Some(checked(dir, args.cluster)?) };
    let out = args.output.or(named).context("--no-check needs --output")?;
    refuse_other(&out)?;
    let packed = pack(dir, &out)?;
    output::print(&summary(&out, packed)?)?;
    Ok(exit::SUCCESS)
}

/// Checks the package; returns the archive's name.
fn checked(dir: &Path, cluster: bool) -> Result<PathBuf> {
    let loader = Loader { any_system: true, ..check::loader(cluster) };
    let checked = krt_reader::check(&loader, dir)?;
    match checked.version {
        Some(version) => {
            terminal::print_report(&checked.report, dir);
            let built = service::block_on(build::executables(
                &version,
                &checked.root,
                Inherited::Shell,
                |_| true,
                terminal::print_warning,
            ))?;
            for node in &version.nodes {
                if let Some(executable) = built.get(node.name.as_str()) {
                    install(executable, &checked.root.join(&node.src))?;
                }
            }
            Ok(PathBuf::from(format!("{}.krt", version.name)))
        }
        None => {
            let error = Error::Invalid { report: Box::new(checked.report), root: checked.root };
            Err(terminal::package_error(error, dir))
        }
    }
}

/// Copies an executable into the package; replaces an older one.
fn install(executable: &Path, place: &Path) -> Result<()> {
    if executable == place {
        return Ok(());
    }
    let put = || -> io::Result<()> {
        let folder = place.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".krt-pack-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempfile_in(folder)?;
        io::copy(&mut File::open(executable)?, &mut file)?;
        file.persist(place)?;
        Ok(())
    };
    put().with_context(|| format!("cannot put the executable at `{}`", place.display()))
}

/// Refuses to overwrite a file that is not an archive, so that a typo does not destroy it.
fn refuse_other(out: &Path) -> Result<()> {
    let shown = out.display();
    let mut file = match File::open(out) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot replace `{shown}`")),
    };
    if file.metadata()?.is_dir() {
        bail!("`{shown}` is a folder"; hint: "name the file in it, too");
    }
    let mut start = [0; GZIP.len()];
    if file.read_exact(&mut start).is_err() || start != GZIP {
        bail!("`{shown}` exists and is not an archive"; hint: "choose another --output, or remove it first");
    }
    Ok(())
}

/// The first bytes of an archive.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Checks, builds and packs a package into a folder.
pub(super) fn pack_into(folder: &Path, dir: &Path) -> Result<PathBuf> {
    let out = folder.join(checked(dir, false)?);
    pack(dir, &out)?;
    Ok(out)
}

fn pack(dir: &Path, out: &Path) -> Result<Packed> {
    let bar = bar();
    let mut archives = Vec::new();
    let packed = archive::pack_file(dir, out, &mut |progress: Progress<'_>| {
        bar.set_length(progress.total);
        bar.set_position(progress.bytes);
        if progress.file.ends_with(".krt") && archives.last().is_none_or(|last| last != progress.file) {
            archives.push(progress.file.to_owned());
        }
    });
    bar.finish_and_clear();
    let packed = packed.with_context(|| format!("cannot pack `{}` to `{}`", dir.display(), out.display()))?;
    for name in archives {
        terminal::print_warning_with_hint(&format!("`{name}` was packed, too"), "name it in .krtignore");
    }
    Ok(packed)
}

/// A progress bar on standard error, if that is a terminal.
pub(super) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}");
    ProgressBar::new(0).with_style(style.expect("the template is valid"))
}

/// Formats "greeter-v1.krt (4 files, 1.2 KiB packed, sha256 …)".
fn summary(out: &Path, packed: Packed) -> Result<String> {
    let mut file = File::open(out)?;
    let size = HumanBytes(file.metadata()?.len());
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash)?;
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let files = packed.files;
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    Ok(format!("{} ({files}, {size}, sha256 {hash})", out.display()))
}
