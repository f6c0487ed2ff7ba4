//! Who signed in where: tokens, from the environment, or as `krt login` keeps them.

use super::{Server, api::By};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// The token, where no file has it.
const TOKEN: &str = "KRT_TOKEN";

/// Where requests go, and as whom.
pub(crate) struct Login {
    pub(crate) server: Server,
    pub(crate) by: By,
    pub(crate) cacert: Option<PathBuf>,
}

/// A login that is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) server: Server,
    pub(crate) user: String,
    /// The token's id.
    pub(crate) id: String,
    pub(crate) token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cacert: Option<PathBuf>,
}

/// All logins that are kept, the last one first.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Logins(Vec<Kept>);

impl Login {
    /// The login for a server, or, without one, the last.
    pub(crate) fn find(server: Option<&Server>) -> anyhow::Result<Self> {
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        match (server, token) {
            (Some(server), Some(token)) => {
                Ok(Self { server: server.clone(), by: By::Variable(token), cacert: None })
            }
            (None, Some(_)) => bail!("{TOKEN} is set, and no server is; hint: set KRT_SERVER, too"),
            (server, None) => Logins::load()?.of(server).map(Self::from),
        }
    }
}

impl From<Kept> for Login {
    fn from(kept: Kept) -> Self {
        Self { server: kept.server, by: By::Login(kept.token), cacert: kept.cacert }
    }
}

impl Logins {
    /// Reads those of this user.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let path = file()?;
        let shown = path.display();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("`{shown}` is not as `krt login` writes it; hint: remove it")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("failed to read `{shown}`")),
        }
    }

    /// That of a server, or, without one, the last.
    pub(crate) fn of(&self, server: Option<&Server>) -> anyhow::Result<Kept> {
        let found = self.0.iter().find(|kept| server.is_none_or(|server| *server == kept.server));
        match (found, server) {
            (Some(kept), _) => Ok(kept.clone()),
            (None, Some(server)) => bail!("nobody is signed in to `{server}`; hint: `krt login {server}`"),
            (None, None) => {
                bail!("nobody is signed in; hint: `krt login URL`, or set KRT_SERVER and {TOKEN}")
            }
        }
    }

    /// Keeps a login, in the place of an earlier one to the same server.
    pub(crate) fn add(&mut self, new: Kept) -> anyhow::Result<()> {
        self.0.retain(|kept| kept.server != new.server);
        self.0.insert(0, new);
        self.save()
    }

    /// Forgets the login to a server.
    pub(crate) fn remove(&mut self, server: &Server) -> anyhow::Result<()> {
        self.0.retain(|kept| kept.server != *server);
        self.save()
    }

    /// Writes them, for this user only, at once or not at all.
    fn save(&self) -> anyhow::Result<()> {
        let path = file()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            // Only this user may read what the library makes.
            let mut file = tempfile::Builder::new().prefix(".logins-").tempfile_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("failed to write `{}`", path.display()))
    }
}

fn file() -> anyhow::Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")));
    Ok(folder.context("there is no folder for logins; hint: set HOME")?.join("krt/logins.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(server: &str) -> Kept {
        let text = str::to_owned;
        let server = server.parse().unwrap();
        Kept { server, user: text("ada"), id: text("1"), token: text("krt_x"), cacert: None }
    }

    #[test]
    fn which_login_is_meant() {
        let logins = Logins(vec![kept("https://last.example"), kept("https://first.example")]);
        let server = |text: &str| text.parse::<Server>().unwrap();
        assert_eq!(logins.of(None).unwrap().server, server("https://last.example"));
        let first = server("https://first.example");
        assert_eq!(logins.of(Some(&first)).unwrap().server, first);
        let other = server("https://other.example");
        let refused = logins.of(Some(&other)).err().unwrap().to_string();
        assert_eq!(
            refused,
            "nobody is signed in to `https://other.example`; hint: `krt login https://other.example`"
        );
        assert!(Logins::default().of(None).is_err());
    }
}
