//! Users, tokens, sessions.

use crate::Fixture;
use krt_model::team::{AuditAction, Role};
use krt_registry::{
    Actor, Credential, Error, NewPassword, NewUser, RoleSource, User, UserChange, VerifiedUser,
};

pub(crate) const PASSWORD: &str = "correct horse battery";

impl Fixture {
    pub(crate) fn user(&self, login: &str, role: Role) -> Result<User, Error> {
        let new = NewUser { login: login.to_owned(), role, password: PASSWORD.to_owned() };
        self.registry.create_user(&self.ada, &new)
    }

    pub(crate) fn change(&self, login: &str, change: &UserChange) -> Result<User, Error> {
        self.registry.change_user(&self.ada, login, change)
    }
}

#[test]
fn the_first_start_creates_an_admin_once() {
    let fixture = Fixture::new();
    let password = fixture.registry.first_admin(None).unwrap().unwrap();
    let opened = fixture.registry.sign_in("admin", password.reveal(), "").unwrap();
    assert_eq!(opened.user.role, Role::Admin);
    assert!(fixture.registry.first_admin(None).unwrap().is_none());
}

#[test]
fn signing_in_and_out() {
    let fixture = Fixture::new();
    fixture.user("Grace", Role::Viewer).unwrap();
    let sign_in = |login, password| fixture.registry.sign_in(login, password, "a browser\n");
    for (login, password) in [("grace", "wrong"), ("nobody", PASSWORD), ("", "")] {
        assert!(matches!(sign_in(login, password), Err(Error::Denied)), "{login}");
    }
    let opened = sign_in("GRACE", PASSWORD).unwrap();
    let by_cookie = || fixture.registry.by_cookie(opened.cookie.reveal()).unwrap();
    let user = by_cookie().unwrap();
    assert_eq!((&*user.login, user.role), ("Grace", Role::Viewer));
    assert!(user.accepts(opened.user.csrf()) && !user.accepts("") && !user.accepts("forged"));
    assert!(fixture.registry.by_cookie("forged").unwrap().is_none());

    let end = |owner| {
        fixture.registry.end_session(&Actor::user("grace"), owner, &user.id, AuditAction::SessionRevoked)
    };
    assert!(matches!(end(Some("somebody")), Err(Error::Missing { .. })));
    end(Some("grace")).unwrap();
    assert!(by_cookie().is_none());
}

#[test]
fn users_of_a_provider() {
    let fixture = Fixture::new();
    fixture.user("root", Role::Admin).unwrap();
    let sign_in = |subject: &str, login: &str, role| {
        let verified = VerifiedUser { subject: subject.to_owned(), login: login.to_owned(), role };
        fixture.registry.sign_in_verified(&verified, "a browser")
    };
    let opened = sign_in("a 1", "grace", RoleSource::Local(Role::Viewer)).unwrap();
    assert_eq!((&*opened.user.login, opened.user.role), ("grace", Role::Viewer));
    assert!(fixture.registry.by_cookie(opened.cookie.reveal()).unwrap().is_some());
    // The subject identifies the user, even if the login changes; a role assigned here is kept.
    fixture.change("grace", &UserChange { role: Some(Role::Manager), ..UserChange::default() }).unwrap();
    let again = sign_in("a 1", "hopper", RoleSource::Local(Role::Viewer)).unwrap();
    assert_eq!((&*again.user.login, again.user.role), ("grace", Role::Manager));
    assert_eq!(sign_in("a 1", "grace", RoleSource::Provider(Role::Admin)).unwrap().user.role, Role::Admin);

    for (subject, login) in [("a 2", "root"), ("a 2", "GRACE"), ("b 1", "grace")] {
        let taken = sign_in(subject, login, RoleSource::Local(Role::Admin));
        assert!(matches!(taken, Err(Error::Taken { .. })), "{subject} is not {login}");
    }
    assert!(matches!(sign_in("a 2", "krt", RoleSource::Local(Role::Viewer)), Err(Error::Text { .. })));
    for password in ["", PASSWORD] {
        assert!(matches!(fixture.registry.sign_in("grace", password, ""), Err(Error::Denied)));
    }
    fixture.change("grace", &UserChange { disabled: Some(true), ..UserChange::default() }).unwrap();
    assert!(matches!(sign_in("a 1", "grace", RoleSource::Local(Role::Viewer)), Err(Error::Disabled { .. })));
    let users = fixture.registry.users().unwrap();
    assert_eq!(
        users.iter().map(|user| (&*user.login, user.openid)).collect::<Vec<_>>(),
        [("grace", true), ("root", false)]
    );
}

#[test]
fn a_changed_user_is_signed_out() {
    let fixture = Fixture::new();
    fixture.user("root", Role::Admin).unwrap();
    fixture.user("grace", Role::Admin).unwrap();
    let cookie = fixture.registry.sign_in("grace", PASSWORD, "").unwrap().cookie;
    fixture.change("grace", &UserChange { role: Some(Role::Viewer), ..UserChange::default() }).unwrap();
    assert!(fixture.registry.by_cookie(cookie.reveal()).unwrap().is_none());
    fixture.change("grace", &UserChange { disabled: Some(true), ..UserChange::default() }).unwrap();
    assert!(matches!(fixture.registry.sign_in("grace", PASSWORD, ""), Err(Error::Denied)));
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let fixture = Fixture::new();
    fixture.user("grace", Role::Admin).unwrap();
    let here = fixture.registry.sign_in("grace", PASSWORD, "").unwrap();
    let there = fixture.registry.sign_in("grace", PASSWORD, "").unwrap();
    let by = Credential::Session(here.user.id.clone());
    let change = |current, new| {
        let change = NewPassword { current, new, revoke_tokens: true };
        fixture.registry.change_password("grace", change, Some(&by))
    };
    assert!(matches!(change("wrong", "another good one"), Err(Error::Denied)));
    assert!(matches!(change(PASSWORD, "short"), Err(Error::WeakPassword { .. })));
    change(PASSWORD, "another good one").unwrap();
    assert!(fixture.registry.by_cookie(here.cookie.reveal()).unwrap().is_some());
    assert!(fixture.registry.by_cookie(there.cookie.reveal()).unwrap().is_none());
}

#[test]
fn the_last_admin_cannot_be_removed() {
    let fixture = Fixture::new();
    fixture.user("root", Role::Admin).unwrap();
    fixture.user("grace", Role::Manager).unwrap();
    let last = |result: Result<User, Error>| assert!(matches!(result, Err(Error::LastAdmin { .. })));
    last(fixture.change("root", &UserChange { role: Some(Role::Viewer), ..UserChange::default() }));
    last(fixture.change("root", &UserChange { disabled: Some(true), ..UserChange::default() }));
    assert!(matches!(fixture.registry.delete_user(&fixture.ada, "root"), Err(Error::LastAdmin { .. })));
    assert_eq!(fixture.registry.users().unwrap().len(), 2);
}

#[test]
fn logins() {
    let fixture = Fixture::new();
    for bad in ["", "krt", "KRT", "a b", ".a", &"a".repeat(65)] {
        assert!(matches!(fixture.user(bad, Role::Viewer), Err(Error::Text { .. })), "{bad}");
    }
    fixture.user("ada@example.com", Role::Viewer).unwrap();
    assert!(matches!(fixture.user("ADA@example.com", Role::Viewer), Err(Error::Taken { .. })));
}
