//! Uploads packages.

use super::Runtime;
use crate::{
    commands::pack,
    error::{Context as _, Result, ensure},
    team::{CommentArgs, Problem, query},
    terminal,
};
use clap::Args;
use indicatif::HumanBytes;
use krt_api::server::Server;
use std::path::PathBuf;
use tempfile::TempDir;

/// The arguments of `krt version create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Checks a folder first, builds its nodes in Go and Rust, and uploads what `krt pack` would create.
The version's name is that in its krt.yml.")]
pub(super) struct CreateArgs {
    /// The package
    #[arg(default_value = ".")]
    path: PathBuf,

    #[command(flatten)]
    comment: CommentArgs,
}

/// A file to upload.
pub(super) struct Upload<'a> {
    file: PathBuf,
    comment: &'a str,
    /// Whether the package's warnings were printed.
    checked: bool,
    /// The temporary folder of the file, if the command created it.
    _folder: Option<TempDir>,
}

impl CreateArgs {
    /// Returns the archive; packs a folder into a temporary one.
    pub(super) fn upload(&self) -> Result<Upload<'_>> {
        let comment = &*self.comment.comment;
        if !self.path.is_dir() {
            return Ok(Upload { file: self.path.clone(), comment, checked: false, _folder: None });
        }
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let file = pack::pack_into(folder.path(), &self.path)?;
        Ok(Upload { file, comment, checked: true, _folder: Some(folder) })
    }
}

impl Runtime<'_> {
    pub(super) async fn create(&self, upload: &Upload<'_>) -> Result<()> {
        self.require_room(upload).await?;
        let bar = pack::bar();
        let path = format!("{}/versions?{}", self.path, query(&[("comment", upload.comment)]));
        let made = self.api.upload(&path, &upload.file, &bar).await;
        bar.finish_and_clear();
        let made = made?;
        if !upload.checked {
            let warnings = made.warnings.iter();
            warnings.for_each(|warning| terminal::print_warning(&Problem(warning).to_string()));
        }
        if !made.missing_config.is_empty() {
            let (name, missing) = (&made.name, made.missing_config.join(", "));
            terminal::print_note_with_hint(
                &format!("it starts when it has values for {missing}"),
                &format!("`krt version config {name} --help`"),
            );
        }
        self.show(&made)
    }

    /// Refuses an upload early that the server would refuse only after receiving all of it.
    async fn require_room(&self, upload: &Upload<'_>) -> Result<()> {
        let shown = upload.file.display();
        let found = tokio::fs::metadata(&upload.file).await;
        let size = found.with_context(|| format!("failed to read `{shown}`"))?.len();
        let server: Server = self.api.get("/server").await?;
        let room = server.limits.package_bytes;
        ensure!(
            size <= room,
            "the package has {}, `{}` takes at most {}", HumanBytes(size), self.api.server(), HumanBytes(room);
            hint: "`krt serve --max-package`"
        );
        Ok(())
    }
}
