//! Tokens: their permissions, and their end.

use crate::{Fixture, users::PASSWORD};
use krt_model::team::{AuditAction, Role};
use krt_registry::{
    AuditFilter, CreatedToken, Credential, Error, NewPassword, NewToken, Timestamp, UserChange,
};

impl Fixture {
    pub(crate) fn token(&self, role: Role, expires: Option<Timestamp>) -> CreatedToken {
        self.token_with(None, "ci", role, expires).unwrap()
    }

    /// Creates a token with another one.
    fn token_with(
        &self,
        parent: Option<&CreatedToken>,
        name: &str,
        role: Role,
        expires: Option<Timestamp>,
    ) -> Result<CreatedToken, Error> {
        let new = NewToken { name: name.to_owned(), role, expires };
        self.registry.create_token("grace", Role::Manager, parent.map(|parent| &*parent.token.id), &new)
    }

    fn role(&self, token: &CreatedToken) -> Option<Role> {
        self.registry.by_token(token.secret.reveal()).unwrap().map(|user| user.role)
    }

    fn with_grace() -> Self {
        let fixture = Self::new();
        fixture.user("root", Role::Admin).unwrap();
        fixture.user("grace", Role::Manager).unwrap();
        fixture
    }
}

/// In an hour, and a day later.
fn times() -> [Timestamp; 2] {
    let hour = Timestamp(Timestamp::now().0 + 3_600_000_000);
    [hour, Timestamp(hour.0 + 86_400_000_000)]
}

#[test]
fn tokens_never_exceed_the_role_of_their_owner() {
    let fixture = Fixture::with_grace();
    assert!(matches!(fixture.token_with(None, "ci", Role::Admin, None), Err(Error::TooMuch)));
    let made = fixture.token(Role::Manager, None);
    assert_eq!(fixture.role(&made), Some(Role::Manager));
    assert_eq!(fixture.registry.by_token("krt_forged").unwrap(), None);
    let old = fixture.token(Role::Viewer, Some(Timestamp(1)));
    assert_eq!(fixture.role(&old), None);

    fixture.change("grace", &UserChange { role: Some(Role::Viewer), ..UserChange::default() }).unwrap();
    assert_eq!(fixture.role(&made), Some(Role::Viewer));
    let listed = fixture.registry.tokens(Some("grace")).unwrap();
    assert!(listed.iter().any(|token| token.used.is_some()));
    assert!(!format!("{listed:?}").contains(made.secret.reveal()));
    fixture.registry.delete_user(&fixture.ada, "grace").unwrap();
    assert_eq!(fixture.role(&made), None);
}

#[test]
fn derived_tokens_end_no_later_than_their_parent() {
    let fixture = Fixture::with_grace();
    let [hour, day] = times();
    let rows = [
        (None, None, None),
        (None, Some(day), Some(day)),
        (Some(hour), None, Some(hour)),
        (Some(hour), Some(day), Some(hour)),
        (Some(day), Some(hour), Some(hour)),
    ];
    for (of_parent, wanted, expected) in rows {
        let parent = fixture.token(Role::Manager, of_parent);
        let child = fixture.token_with(Some(&parent), "child", Role::Viewer, wanted).unwrap();
        let grandchild = fixture.token_with(Some(&child), "grandchild", Role::Viewer, None).unwrap();
        assert_eq!(child.token.expires, expected, "{of_parent:?} {wanted:?}");
        assert_eq!(grandchild.token.expires, expected, "{of_parent:?} {wanted:?}");
        assert_eq!(child.token.parent, Some(parent.token.id));
    }
}

#[test]
fn revoking_a_token_revokes_derived_tokens() {
    let fixture = Fixture::with_grace();
    let make = |parent, name| fixture.token_with(parent, name, Role::Viewer, None).unwrap();
    let (parent, other) = (make(None, "parent"), make(None, "other"));
    let child = make(Some(&parent), "child");
    let grandchild = make(Some(&child), "grandchild");
    fixture.registry.delete_token(&fixture.ada, Some("grace"), &parent.token.id).unwrap();
    for ended in [&parent, &child, &grandchild] {
        assert_eq!(fixture.role(ended), None, "{}", ended.token.name);
    }
    assert_eq!(fixture.role(&other), Some(Role::Viewer));
    // A token whose parent is gone cannot be created either.
    assert!(matches!(fixture.token_with(Some(&parent), "late", Role::Viewer, None), Err(Error::Denied)));

    let filter = AuditFilter { action: Some(AuditAction::TokenDeleted), ..AuditFilter::default() };
    let entries = fixture.registry.audit(&filter, 10).unwrap();
    let subjects: Vec<_> = entries.iter().rev().filter_map(|entry| entry.subject.as_deref()).collect();
    assert_eq!(subjects, ["parent", "child", "grandchild"]);
}

#[test]
fn a_new_password_revokes_tokens_by_default() {
    let fixture = Fixture::with_grace();
    let new = "another good one";
    // By an admin.
    let token = fixture.token(Role::Viewer, None);
    let reset = |revoke_tokens| {
        let password = Some(new.to_owned());
        fixture.change("grace", &UserChange { password, revoke_tokens, ..UserChange::default() }).unwrap();
    };
    reset(Some(false));
    assert_eq!(fixture.role(&token), Some(Role::Viewer));
    reset(None);
    assert_eq!(fixture.role(&token), None);
    // Only a password change ends them, unless requested otherwise.
    let token = fixture.token(Role::Viewer, None);
    let change = UserChange { role: Some(Role::Manager), ..UserChange::default() };
    fixture.change("grace", &change).unwrap();
    assert_eq!(fixture.role(&token), Some(Role::Viewer));
    fixture.change("grace", &UserChange { revoke_tokens: Some(true), ..change }).unwrap();
    assert_eq!(fixture.role(&token), None);

    // By the user: of all tokens, only the one that makes the request is kept.
    let (asks, other) = (fixture.token(Role::Viewer, None), fixture.token(Role::Viewer, None));
    let child = fixture.token_with(Some(&asks), "child", Role::Viewer, None).unwrap();
    let by = Credential::Token(asks.token.id.clone());
    let own = |current, new, revoke_tokens| {
        let change = NewPassword { current, new, revoke_tokens };
        fixture.registry.change_password("grace", change, Some(&by)).unwrap();
    };
    own(new, PASSWORD, false);
    assert_eq!(fixture.role(&child), Some(Role::Viewer));
    own(PASSWORD, new, true);
    let roles = [&asks, &other, &child].map(|token| fixture.role(token));
    assert_eq!(roles, [Some(Role::Viewer), None, None]);
}

#[test]
fn tokens_are_bounded() {
    let fixture = Fixture::with_grace();
    let made: Vec<_> = (0..1_000).map(|_| fixture.token_with(None, "ci", Role::Viewer, None)).collect();
    assert!(made.iter().all(Result::is_ok));
    let more = fixture.token_with(None, "ci", Role::Viewer, None);
    assert!(matches!(more, Err(Error::TooManyTokens { .. })));
    let first = &made[0].as_ref().unwrap().token.id;
    fixture.registry.delete_token(&fixture.ada, None, first).unwrap();
    fixture.token_with(None, "ci", Role::Viewer, None).unwrap();
}

#[test]
fn passwords_and_tokens_are_not_on_disk() {
    let fixture = Fixture::with_grace();
    let cookie = fixture.registry.sign_in("grace", PASSWORD, "").unwrap().cookie;
    let token = fixture.token(Role::Manager, None).secret;
    let mut seen = false;
    for file in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let path = file.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        for secret in [PASSWORD, cookie.reveal(), token.reveal()] {
            assert!(!has(secret), "{}", path.display());
        }
        seen |= has("grace");
    }
    assert!(seen, "their user would have been found");
}
