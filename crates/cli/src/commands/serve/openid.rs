//! Sign-in with an OpenID provider, in addition to passwords.

use crate::error::{Context as _, Result, bail, error};
use clap::Args;
use krt_model::team::Role;
use krt_serve::openid::{CALLBACK, Provider, Settings};
use std::{fmt, path::PathBuf};

/// The arguments for sign-in with an OpenID Connect provider.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "OpenID Connect")]
pub(super) struct OpenIdArgs {
    /// Issuer URL of an OpenID Connect provider to sign in with
    #[arg(long, value_name = "URL", requires = "openid_client", env = "KRT_OPENID_ISSUER")]
    openid_issuer: Option<String>,

    /// Client id of krt at the provider; the redirect URL is DASHBOARD/api/v1/session/openid/callback
    #[arg(long, value_name = "ID", requires = "openid_issuer", env = "KRT_OPENID_CLIENT")]
    openid_client: Option<String>,

    /// File with the client secret; KRT_OPENID_SECRET sets the secret itself
    #[arg(long, value_name = "FILE", requires = "openid_issuer")]
    openid_secret_file: Option<PathBuf>,

    /// Name of the provider on the sign-in page
    #[arg(long, value_name = "NAME", default_value = "OpenID", env = "KRT_OPENID_NAME")]
    openid_name: String,

    /// Scopes to request besides `openid`
    #[arg(
        long,
        value_name = "SCOPE",
        value_delimiter = ',',
        default_value = "profile,email",
        env = "KRT_OPENID_SCOPES"
    )]
    openid_scopes: Vec<String>,

    /// Claim of the ID token that holds a user's groups
    #[arg(long, value_name = "CLAIM", default_value = "groups", env = "KRT_OPENID_GROUPS")]
    openid_groups: String,

    /// Role of a group: `--openid-role admin=platform`; without any, admins assign roles here
    #[arg(long, value_name = "ROLE=GROUP", value_delimiter = ',', value_parser = of_group, requires = "openid_issuer", env = "KRT_OPENID_ROLES")]
    openid_role: Vec<(Role, String)>,

    /// Role of new users, or of users in none of those groups; `none` refuses them
    #[arg(long, value_name = "ROLE", default_value = "viewer", value_parser = role, env = "KRT_OPENID_DEFAULT_ROLE")]
    openid_default_role: OptionalRole,
}

/// The variable with the client secret, so that the secret appears in no process list.
const SECRET: &str = "KRT_OPENID_SECRET";

/// An optional role.
#[derive(Debug, Clone, Copy)]
struct OptionalRole(Option<Role>);

impl fmt::Display for OptionalRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("none", Role::as_str))
    }
}

impl OpenIdArgs {
    /// The provider, if one is configured. It redirects browsers to `dashboard`.
    pub(super) fn provider(&self, dashboard: impl FnOnce() -> Result<String>) -> Result<Option<Provider>> {
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
            .map_err(|error| error!("{error}"))
            .with_context(|| format!("--openid-issuer {issuer} cannot be used"))?;
        tracing::info!("users sign in at {issuer}, too; it must know the redirect address {back}");
        Ok(Some(provider))
    }

    fn secret(&self) -> Result<Option<String>> {
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
    Role::parse(text).ok_or_else(|| format!("`{text}` is not a role; roles are viewer, manager and admin"))
}

fn role(text: &str) -> Result<OptionalRole, String> {
    if text == "none" { Ok(OptionalRole(None)) } else { parse(text).map(|role| OptionalRole(Some(role))) }
}

fn of_group(text: &str) -> Result<(Role, String), String> {
    match text.split_once('=') {
        Some((role, group)) if !group.is_empty() => Ok((parse(role)?, group.to_owned())),
        _ => Err("expected ROLE=GROUP, such as admin=platform".to_owned()),
    }
}
