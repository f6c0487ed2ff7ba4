//! Which server is meant, and the token for it: from the environment, or as `krt login` left it.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

/// The token, where no file has it.
const TOKEN: &str = "KRT_TOKEN";

/// A server, and what lets in there.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) server: String,
    pub(crate) token: String,
}

impl Login {
    /// The login for a server, or, without one, the last.
    pub(crate) fn find(server: Option<&str>) -> anyhow::Result<Self> {
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        if let (Some(server), Some(token)) = (server, &token) {
            return Ok(Self { server: server.to_owned(), token: token.clone() });
        }
        let saved = Self::load()?;
        match (server, saved) {
            (None, Some(saved)) => Ok(Self { token: token.unwrap_or(saved.token), ..saved }),
            (Some(server), Some(saved)) if server.trim_end_matches('/') == saved.server => Ok(saved),
            (Some(server), _) => bail!("nobody is signed in to `{server}`; hint: `krt login {server}`"),
            (None, None) => {
                bail!("nobody is signed in; hint: `krt login URL`, or set KRT_SERVER and {TOKEN}")
            }
        }
    }

    fn load() -> anyhow::Result<Option<Self>> {
        let path = file()?;
        let shown = path.display();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .with_context(|| format!("`{shown}` is not as `krt login` writes it")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to read `{shown}`")),
        }
    }

    /// Keeps it for the commands to come, for this user only.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let path = file()?;
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(&serde_json::to_vec(self)?)
        };
        write().with_context(|| format!("failed to write `{}`", path.display()))
    }
}

fn file() -> anyhow::Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")));
    Ok(folder.context("there is no folder for the login; hint: set HOME")?.join("krt/login.json"))
}
