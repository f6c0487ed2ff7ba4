//! The claims of an ID token.

use super::{Error, Settings};
use krt_model::team::Role;
use krt_registry::{RoleSource, VerifiedUser};
use openidconnect::{AdditionalClaims, IdTokenClaims, core::CoreGenderClaim};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Claims beyond OpenID Connect's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ExtraClaims(Map<String, Value>);

impl AdditionalClaims for ExtraClaims {}

/// The claims of a verified token.
pub(super) struct Claims<'a>(pub(super) &'a IdTokenClaims<ExtraClaims, CoreGenderClaim>);

impl Claims<'_> {
    /// The user that the token proves.
    pub(super) fn verified(&self, settings: &Settings) -> Result<VerifiedUser, Error> {
        let subject = format!("{} {}", self.0.issuer().as_str(), self.0.subject().as_str());
        let groups = self.0.additional_claims().0.get(&settings.groups);
        let role = role(settings, groups).ok_or(Error::NoRole)?;
        let login = self
            .login()
            .ok_or(Error::Missing("name (`preferred_username`, or an `email` that is verified)"))?;
        Ok(VerifiedUser { subject, login, role })
    }

    fn login(&self) -> Option<String> {
        if let Some(name) = self.0.preferred_username() {
            return Some(name.as_str().to_owned());
        }
        // An unverified address could be anyone's.
        let email = self.0.email().filter(|_| self.0.email_verified() == Some(true));
        email.map(|email| email.as_str().to_owned())
    }
}

/// The highest role of the user's groups; `None` refuses the user.
fn role(settings: &Settings, groups: Option<&Value>) -> Option<RoleSource> {
    if settings.roles.is_empty() {
        return settings.otherwise.map(RoleSource::Local);
    }
    let given = settings.roles.iter().filter(|(_, group)| is_in(groups, group)).map(|(role, _)| *role);
    let given: Option<Role> = given.max();
    given.or(settings.otherwise).map(RoleSource::Provider)
}

/// Whether the groups, a list of names or a single name, contain this group.
fn is_in(groups: Option<&Value>, group: &str) -> bool {
    match groups {
        Some(Value::Array(groups)) => groups.iter().any(|one| one == group),
        Some(Value::String(one)) => one == group,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(roles: &[(Role, &str)], otherwise: Option<Role>) -> Settings {
        Settings {
            issuer: String::new(),
            client: String::new(),
            secret: None,
            dashboard: String::new(),
            name: String::new(),
            scopes: Vec::new(),
            groups: "groups".to_owned(),
            roles: roles.iter().map(|(role, group)| (*role, (*group).to_owned())).collect(),
            otherwise,
        }
    }

    #[test]
    fn the_highest_role_of_all_groups() {
        let groups = [(Role::Viewer, "all"), (Role::Admin, "ops"), (Role::Manager, "science")];
        let (strict, open) = (settings(&groups, None), settings(&groups, Some(Role::Viewer)));
        let cases = [
            (&strict, json!(["science", "all"]), Some(RoleSource::Provider(Role::Manager))),
            (&strict, json!(["all", "ops"]), Some(RoleSource::Provider(Role::Admin))),
            (&strict, json!("ops"), Some(RoleSource::Provider(Role::Admin))),
            (&strict, json!(["opsy", "op"]), None),
            (&strict, json!({"ops": true}), None),
            (&open, json!([]), Some(RoleSource::Provider(Role::Viewer))),
            (&settings(&[], None), json!(["ops"]), None),
            (&settings(&[], Some(Role::Manager)), json!(["ops"]), Some(RoleSource::Local(Role::Manager))),
        ];
        for (settings, groups, expected) in cases {
            assert_eq!(role(settings, Some(&groups)), expected, "{groups}");
        }
        assert_eq!(role(&strict, None), None);
    }
}
