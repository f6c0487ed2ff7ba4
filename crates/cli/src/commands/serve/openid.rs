//! The OpenID provider that lets users in, beside their passwords.

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use krt_registry::Role;
use krt_serve::openid::{CALLBACK, Provider, Settings};
use std::{fmt, path::PathBuf};

/// Signing in at an OpenID provider (OpenID Connect).
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "OpenID Connect")]
pub(super) struct OpenIdArgs {
    /// The provider that lets users in, too: the address that its documents call `issuer`
    #[arg(long, value_name = "URL", requires = "openid_client", env = "KRT_OPENID_ISSUER")]
    openid_issuer: Option<String>,

    /// As which client krt is known there, with the redirect address DASHBOARD/api/v1/session/openid/callback
    #[arg(long, value_name = "ID", requires = "openid_issuer", env = "KRT_OPENID_CLIENT")]
    openid_client: Option<String>,

    /// A file with the client's secret; or the secret in KRT_OPENID_SECRET
    #[arg(long, value_name = "FILE", requires = "openid_issuer")]
    openid_secret_file: Option<PathBuf>,

    /// What the provider is called on the sign-in page
    #[arg(long, value_name = "NAME", default_value = "OpenID", env = "KRT_OPENID_NAME")]
    openid_name: String,

    /// What is asked for beside `openid`
    #[arg(
        long,
        value_name = "SCOPE",
        value_delimiter = ',',
        default_value = "profile,email",
        env = "KRT_OPENID_SCOPES"
    )]
    openid_scopes: Vec<String>,

    /// The claim of the ID token with a user's groups
    #[arg(long, value_name = "CLAIM", default_value = "groups", env = "KRT_OPENID_GROUPS")]
    openid_groups: String,

    /// Which group makes which role: `--openid-role admin=platform`; without any, admins give roles here
    #[arg(long, value_name = "ROLE=GROUP", value_delimiter = ',', value_parser = of_group, requires = "openid_issuer", env = "KRT_OPENID_ROLES")]
    openid_role: Vec<(Role, String)>,

    /// The role of newcomers, or of who is in none of those groups; `none` lets them not in
    #[arg(long, value_name = "ROLE", default_value = "viewer", value_parser = role, env = "KRT_OPENID_DEFAULT_ROLE")]
    openid_default_role: Given,
}

/// The variable with the client's secret: no list of processes shows it.
const SECRET: &str = "KRT_OPENID_SECRET";

/// A role, or none.
#[derive(Debug, Clone, Copy)]
struct Given(Option<Role>);

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("none", Role::as_str))
    }
}

impl OpenIdArgs {
    /// The provider, if there is one; `dashboard` is where it sends browsers back to.
    pub(super) fn provider(
        &self,
        dashboard: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<Option<Provider>> {
        let (Some(issuer), Some(client)) = (&self.openid_issuer, &self.openid_client) else {
            return Ok(None);
        };
        let settings = Settings {
            issuer: issuer.clone(),
            client: client.clone(),
            secret: self.secret()?,
            dashboard: dashboard()?,
            name: self.openid_name.clone(),
            scopes: self.openid_scopes.iter().filter(|scope| !scope.is_empty()).cloned().collect(),
            groups: self.openid_groups.clone(),
            roles: self.openid_role.clone(),
            otherwise: self.openid_default_role.0,
        };
        let back = format!("{}{CALLBACK}", settings.dashboard);
        let provider = Provider::new(settings)
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("--openid-issuer {issuer} cannot be used"))?;
        tracing::info!("users sign in at {issuer}, too; it must know the redirect address {back}");
        Ok(Some(provider))
    }

    fn secret(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.openid_secret_file else {
            return Ok(std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()));
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read the client's secret in `{}`", path.display()))?;
        match text.trim() {
            "" => bail!("`{}` is empty; the client's secret is expected there", path.display()),
            secret => Ok(Some(secret.to_owned())),
        }
    }
}

fn parse(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| format!("`{text}` is no role; there are viewer, manager and admin"))
}

fn role(text: &str) -> Result<Given, String> {
    if text == "none" { Ok(Given(None)) } else { parse(text).map(|role| Given(Some(role))) }
}

fn of_group(text: &str) -> Result<(Role, String), String> {
    match text.split_once('=') {
        Some((role, group)) if !group.is_empty() => Ok((parse(role)?, group.to_owned())),
        _ => Err("expected ROLE=GROUP, such as admin=platform".to_owned()),
    }
}
