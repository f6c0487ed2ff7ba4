//! Logins: tokens from the environment, or stored by `krt login`.

use super::{AuthSource, Server};
use crate::error::{Context as _, Hint as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// The variable with a token, for use without a stored login.
const TOKEN: &str = "KRT_TOKEN";

/// A server, and the authentication for it.
pub(crate) struct Login {
    pub(crate) server: Server,
    pub(crate) by: AuthSource,
    pub(crate) cacert: Option<PathBuf>,
}

/// A stored login.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredLogin {
    pub(crate) server: Server,
    pub(crate) user: String,
    /// The token's id.
    pub(crate) id: String,
    pub(crate) token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cacert: Option<PathBuf>,
}

/// All stored logins, most recent first.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Logins(Vec<StoredLogin>);

impl Login {
    /// Finds the login for a server; without a server, the most recent one.
    pub(crate) fn find(server: Option<&Server>) -> Result<Self> {
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        match (server, token) {
            (Some(server), Some(token)) => {
                Ok(Self { server: server.clone(), by: AuthSource::Variable(token), cacert: None })
            }
            (None, Some(_)) => bail!("{TOKEN} is set, and no server is"; hint: "set KRT_SERVER, too"),
            (server, None) => Logins::load()?.of(server).map(Self::from),
        }
    }
}

impl From<StoredLogin> for Login {
    fn from(kept: StoredLogin) -> Self {
        Self { server: kept.server, by: AuthSource::Login(kept.token), cacert: kept.cacert }
    }
}

impl Logins {
    /// Loads this user's logins.
    pub(crate) fn load() -> Result<Self> {
        let path = file()?;
        let shown = path.display();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("`{shown}` is not as `krt login` writes it"))
                .hint("remove it"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("failed to read `{shown}`")),
        }
    }

    /// The login for a server; without a server, the most recent one.
    pub(crate) fn of(&self, server: Option<&Server>) -> Result<StoredLogin> {
        let found = self.0.iter().find(|kept| server.is_none_or(|server| *server == kept.server));
        match (found, server) {
            (Some(kept), _) => Ok(kept.clone()),
            (None, Some(server)) => bail!("not signed in to `{server}`"; hint: "`krt login {server}`"),
            (None, None) => {
                bail!("not signed in"; hint: "`krt login URL`, or set KRT_SERVER and {TOKEN}")
            }
        }
    }

    /// Stores a login; replaces an earlier one for the same server.
    pub(crate) fn add(&mut self, new: StoredLogin) -> Result<()> {
        self.0.retain(|kept| kept.server != new.server);
        self.0.insert(0, new);
        self.save()
    }

    /// Removes the login for a server.
    pub(crate) fn remove(&mut self, server: &Server) -> Result<()> {
        self.0.retain(|kept| kept.server != *server);
        self.save()
    }

    /// Writes the file atomically, readable by this user only.
    fn save(&self) -> Result<()> {
        let path = file()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            // The library creates files that only this user can read.
            let mut file = tempfile::Builder::new().prefix(".logins-").tempfile_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("failed to write `{}`", path.display()))
    }
}

fn file() -> Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")));
    Ok(folder.context("there is no folder for logins").hint("set HOME")?.join("krt/logins.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(server: &str) -> StoredLogin {
        let text = str::to_owned;
        let server = server.parse().unwrap();
        StoredLogin { server, user: text("ada"), id: text("1"), token: text("krt_x"), cacert: None }
    }

    #[test]
    fn logins_are_selected_by_server() {
        let logins = Logins(vec![kept("https://last.example"), kept("https://first.example")]);
        let server = |text: &str| text.parse::<Server>().unwrap();
        assert_eq!(logins.of(None).unwrap().server, server("https://last.example"));
        let first = server("https://first.example");
        assert_eq!(logins.of(Some(&first)).unwrap().server, first);
        let other = server("https://other.example");
        let refused = logins.of(Some(&other)).err().unwrap().line();
        assert_eq!(
            refused,
            "not signed in to `https://other.example`; hint: `krt login https://other.example`"
        );
        assert!(Logins::default().of(None).is_err());
    }
}
