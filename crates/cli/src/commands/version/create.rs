//! Uploads packages.

use super::Runtime;
use crate::{
    commands::pack,
    team::{CommentArgs, Problem, query, show::text},
    terminal,
};
use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::HumanBytes;
use serde_json::Value;
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
    pub(super) fn upload(&self) -> anyhow::Result<Upload<'_>> {
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
    pub(super) async fn create(&self, upload: &Upload<'_>) -> anyhow::Result<()> {
        self.require_room(upload).await?;
        let bar = pack::bar();
        let path = format!("{}/versions?{}", self.path, query(&[("comment", upload.comment)]));
        let made = self.api.upload(&path, &upload.file, &bar).await;
        bar.finish_and_clear();
        let made = made?;
        let list = |name: &str| made[name].as_array().into_iter().flatten();
        if !upload.checked {
            list("warnings").for_each(|warning| terminal::print_warning(&Problem(warning).to_string()));
        }
        let missing: Vec<_> = list("missing_config").filter_map(Value::as_str).collect();
        if !missing.is_empty() {
            let (name, missing) = (text(&made, "name"), missing.join(", "));
            terminal::print_note(&format!(
                "it starts when it has values for {missing}; hint: `krt version config {name} --help`"
            ));
        }
        self.tell(&made)
    }

    /// Refuses an upload early that the server would refuse only after receiving all of it.
    async fn require_room(&self, upload: &Upload<'_>) -> anyhow::Result<()> {
        let shown = upload.file.display();
        let found = tokio::fs::metadata(&upload.file).await;
        let size = found.with_context(|| format!("failed to read `{shown}`"))?.len();
        let server = self.api.get("/server").await?;
        let room = server["limits"]["package_bytes"].as_u64().unwrap_or(u64::MAX);
        ensure!(
            size <= room,
            "the package has {}, `{}` takes at most {}\nhint: `krt serve --max-package`",
            HumanBytes(size),
            self.api.server(),
            HumanBytes(room)
        );
        Ok(())
    }
}
