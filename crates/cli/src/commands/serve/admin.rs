//! Creates the first user if there is none.

use crate::error::{Context as _, Result};
use krt_registry::Registry;
use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

/// The variable with the first user's password.
const VARIABLE: &str = "KRT_ADMIN_PASSWORD";
/// The file for a random password, so that it appears in no log.
const FILE: &str = "admin-password";

/// Creates the user `admin` if there are no users.
pub(super) async fn first(registry: &Arc<Registry>, data: &Path) -> Result<()> {
    let chosen = std::env::var(VARIABLE).ok().filter(|password| !password.is_empty());
    let (registry, path) = (Arc::clone(registry), data.join(FILE));
    tokio::task::spawn_blocking(move || {
        let random = chosen.is_none();
        let Some(password) = registry.first_admin(chosen)? else { return Ok(()) };
        if random {
            write(&path, password.reveal())
                .with_context(|| format!("failed to write `{}`", path.display()))?;
            let shown = path.display();
            tracing::info!(
                "the user `admin` was made; its password is in `{shown}`: change it, and remove the file"
            );
        } else {
            tracing::info!("the user `admin` was made, with the password in {VARIABLE}");
        }
        Ok(())
    })
    .await?
}

fn write(path: &Path, password: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{password}")
}
