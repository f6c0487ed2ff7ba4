//! The end of identities, and its notification.

use crate::{Fixture, users::PASSWORD};
use krt_model::team::{AuditAction, Role};
use krt_registry::{
    Credential, EndReason, Identity, NewPassword, NewToken, RoleSource, Timestamp, UserChange, VerifiedUser,
};

/// An event that ends an identity, and the reason reported.
type End = (&'static str, fn(&Fixture, &Identity), EndReason);

impl Fixture {
    /// Two identities of grace: a session and a token.
    fn identities(&self) -> [Identity; 2] {
        let (login, role) = ("grace".to_owned(), Role::Manager);
        let session = self.registry.sign_in("grace", PASSWORD, "").unwrap().user.id;
        let new = NewToken { name: "ci".to_owned(), role, expires: None };
        let token = self.registry.create_token("grace", role, None, &new).unwrap().token.id;
        [Credential::Session(session), Credential::Token(token)].map(|credential| Identity {
            login: login.clone(),
            role,
            credential,
        })
    }
}

fn changed(fixture: &Fixture, change: &UserChange) {
    fixture.change("grace", change).unwrap();
}

fn delete(fixture: &Fixture, _: &Identity) {
    fixture.registry.delete_user(&fixture.ada, "grace").unwrap();
}

fn disable(fixture: &Fixture, _: &Identity) {
    changed(fixture, &UserChange { disabled: Some(true), ..UserChange::default() });
}

fn demote(fixture: &Fixture, _: &Identity) {
    changed(fixture, &UserChange { role: Some(Role::Viewer), ..UserChange::default() });
}

fn revoke(fixture: &Fixture, identity: &Identity) {
    match &identity.credential {
        Credential::Session(id) => {
            fixture.registry.end_session(&fixture.ada, None, id, AuditAction::SessionRevoked).unwrap();
        }
        Credential::Token(id) => fixture.registry.delete_token(&fixture.ada, None, id).unwrap(),
    }
}

fn reset(fixture: &Fixture, _: &Identity) {
    changed(fixture, &UserChange { password: Some("another good one".to_owned()), ..UserChange::default() });
}

fn change_password(fixture: &Fixture, _: &Identity) {
    let change = NewPassword { current: PASSWORD, new: "another good one", revoke_tokens: true };
    fixture.registry.change_password("grace", change, None).unwrap();
}

#[test]
fn every_end_of_an_identity_is_noticed() {
    let ends: [[End; 2]; 6] = [
        [("deleted", delete, EndReason::Deleted); 2],
        [("disabled", disable, EndReason::Disabled); 2],
        [("demoted", demote, EndReason::Demoted); 2],
        [("revoked", revoke, EndReason::SignedOut), ("revoked", revoke, EndReason::Revoked)],
        [("reset", reset, EndReason::SignedOut), ("reset", reset, EndReason::Revoked)],
        [
            ("changed", change_password, EndReason::SignedOut),
            ("changed", change_password, EndReason::Revoked),
        ],
    ];
    for of_both in ends {
        for (which, (what, end, expected)) in of_both.into_iter().enumerate() {
            let fixture = Fixture::new();
            fixture.user("root", Role::Admin).unwrap();
            fixture.user("grace", Role::Manager).unwrap();
            let identity = fixture.identities()[which].clone();
            assert!(fixture.registry.validity(&identity).unwrap().is_ok(), "{what}");
            let mut changes = fixture.registry.identities();
            changes.mark_unchanged();
            end(&fixture, &identity);
            assert!(changes.has_changed().unwrap(), "{what}");
            assert_eq!(fixture.registry.validity(&identity).unwrap(), Err(expected), "{what} {which}");
        }
    }
}

#[test]
fn identities_expire() {
    let fixture = Fixture::new();
    fixture.user("grace", Role::Admin).unwrap();
    let token = |expires| {
        let new = NewToken { name: "ci".to_owned(), role: Role::Viewer, expires };
        let id = fixture.registry.create_token("grace", Role::Admin, None, &new).unwrap().token.id;
        let credential = Credential::Token(id);
        let identity = Identity { login: "GRACE".to_owned(), role: Role::Viewer, credential };
        fixture.registry.validity(&identity).unwrap()
    };
    let later = Timestamp(Timestamp::now().0 + 1_000_000_000);
    assert_eq!(token(None), Ok(None));
    assert_eq!(token(Some(later)), Ok(Some(later)));
    assert_eq!(token(Some(Timestamp(1))), Err(EndReason::Expired));
    let session = &fixture.identities()[0];
    let until = fixture.registry.validity(session).unwrap().unwrap().unwrap();
    let day = 24 * 3_600_000_000;
    assert!((1..=2).contains(&((until.0 - Timestamp::now().0) / day)), "{until}");
}

#[test]
fn roles_lowered_by_the_provider_are_noticed() {
    let fixture = Fixture::new();
    fixture.user("root", Role::Admin).unwrap();
    let sign_in = |role| {
        let (subject, login) = ("a 1".to_owned(), "ida".to_owned());
        let verified = VerifiedUser { subject, login, role: RoleSource::Provider(role) };
        fixture.registry.sign_in_verified(&verified, "a browser").unwrap()
    };
    let opened = sign_in(Role::Manager);
    let credential = Credential::Session(opened.user.id);
    let identity = Identity { login: "ida".to_owned(), role: Role::Manager, credential };
    let mut changes = fixture.registry.identities();
    changes.mark_unchanged();
    sign_in(Role::Viewer);
    assert!(changes.has_changed().unwrap());
    assert_eq!(fixture.registry.validity(&identity).unwrap(), Err(EndReason::Demoted));
}

#[test]
fn sessions_are_bounded() {
    let fixture = Fixture::new();
    fixture.user("root", Role::Admin).unwrap();
    let sign_in = || {
        let (subject, login) = ("a 1".to_owned(), "ida".to_owned());
        let verified = VerifiedUser { subject, login, role: RoleSource::Local(Role::Viewer) };
        fixture.registry.sign_in_verified(&verified, "a browser").unwrap().cookie
    };
    let cookies: Vec<_> = (0..103).map(|_| sign_in()).collect();
    let holds = |number: usize| fixture.registry.by_cookie(cookies[number].reveal()).unwrap().is_some();
    assert_eq!(fixture.registry.sessions(Some("ida")).unwrap().len(), 100);
    assert!(!holds(0) && !holds(2) && holds(3) && holds(102));
}
