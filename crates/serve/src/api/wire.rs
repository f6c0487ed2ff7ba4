//! Rows of the registry as the API's types, and the API's requests as the registry takes them.

use crate::team;
use krt_api::{
    Hidden, Time,
    audit::AuditEntry,
    board::{Board, NewBoard},
    config::{ConfigEntry, ConfigKind},
    error::Problem,
    event::Event,
    runtime::{NewRuntime, Runtime, RuntimeChange},
    session::Session,
    token::{CreatedToken, NewToken, Token},
    user::{NewUser, User, UserChange},
    version::Version,
};
use krt_model::version::VariableKind;
use krt_registry::{self as registry, Timestamp};

pub(super) fn time(time: Timestamp) -> Time {
    Time(time.0)
}

pub(super) fn user(row: registry::User) -> User {
    User {
        login: row.login,
        role: row.role,
        created: time(row.created),
        signed_in: row.signed_in.map(time),
        disabled: row.disabled,
        openid: row.openid,
    }
}

pub(super) fn new_user(new: NewUser) -> registry::NewUser {
    registry::NewUser { login: new.login, role: new.role, password: new.password.0 }
}

pub(super) fn user_change(change: UserChange) -> registry::UserChange {
    registry::UserChange {
        role: change.role,
        password: change.password.map(|password| password.0),
        disabled: change.disabled,
        revoke_tokens: change.revoke_tokens,
    }
}

pub(super) fn token(row: registry::Token) -> Token {
    Token {
        id: row.id,
        name: row.name,
        login: row.login,
        role: row.role,
        created: time(row.created),
        used: row.used.map(time),
        expires: row.expires.map(time),
        prefix: row.prefix,
        parent: row.parent,
    }
}

pub(super) fn new_token(new: NewToken) -> registry::NewToken {
    let expires = new.expires.map(|time| Timestamp(time.0));
    registry::NewToken { name: new.name, role: new.role, expires }
}

pub(super) fn created_token(created: registry::CreatedToken) -> CreatedToken {
    CreatedToken { secret: Hidden(created.secret.reveal().to_owned()), token: token(created.token) }
}

/// `current`: the id of the caller's own session.
pub(super) fn session(row: registry::Session, current: &str) -> Session {
    Session {
        current: row.id == current,
        id: row.id,
        login: row.login,
        created: time(row.created),
        used: time(row.used),
        expires: time(row.expires),
        agent: row.agent,
    }
}

pub(super) fn audit_entry(row: registry::AuditEntry) -> AuditEntry {
    AuditEntry {
        id: row.id,
        time: time(row.time),
        login: row.login,
        action: row.action,
        runtime: row.runtime,
        version: row.version,
        subject: row.subject,
        comment: row.comment,
    }
}

pub(super) fn runtime(row: registry::Runtime) -> Runtime {
    Runtime {
        id: row.id,
        name: row.name,
        description: row.description,
        created: time(row.created),
        published: row.published,
        hosts: row.hosts,
        versions: row.versions,
        states: row.states,
    }
}

pub(super) fn new_runtime(new: NewRuntime) -> registry::NewRuntime {
    registry::NewRuntime { id: new.id, name: new.name, description: new.description, hosts: new.hosts }
}

pub(super) fn runtime_change(change: RuntimeChange) -> registry::RuntimeChange {
    registry::RuntimeChange { name: change.name, description: change.description, hosts: change.hosts }
}

pub(super) fn version(row: registry::Version) -> Version {
    Version {
        name: row.name,
        runtime: row.runtime,
        description: row.description,
        state: row.state,
        reasons: row.reasons,
        actions: row.actions,
        created: time(row.created),
        created_by: row.created_by,
        changed: time(row.changed),
        published_at: row.published_at.map(time),
        published_by: row.published_by,
        package_bytes: row.package_bytes,
        missing_config: row.missing_config,
        // They were written by this program, or an older one.
        warnings: serde_json::from_value(row.warnings).unwrap_or_default(),
        nodes: row.nodes,
        workflows: row.workflows,
        has_docs: row.has_docs,
    }
}

pub(super) fn config_entry(row: registry::ConfigEntry) -> ConfigEntry {
    ConfigEntry {
        name: row.name,
        kind: match row.kind {
            VariableKind::Text => ConfigKind::Variable,
            VariableKind::File => ConfigKind::File,
        },
        set: row.set,
        inherited_from: row.inherited_from,
        value: row.value.map(|value| value.map(|value| Hidden(value.reveal().to_owned()))),
    }
}

pub(super) fn board(row: registry::Board) -> Board {
    Board {
        id: row.id,
        name: row.name,
        charts: row.charts,
        changed: time(row.changed),
        changed_by: row.changed_by,
    }
}

pub(super) fn new_board(new: NewBoard) -> registry::NewBoard {
    registry::NewBoard { name: new.name, charts: new.charts }
}

pub(super) fn event(event: team::Event) -> Event {
    Event {
        kind: event.kind,
        runtime: event.runtime,
        version: event.version,
        state: event.state,
        time: time(event.time),
    }
}

pub(super) fn problem(problem: &krt_package::Problem) -> Problem {
    Problem {
        severity: problem.severity,
        file: problem.file.to_string_lossy().into_owned(),
        line: problem.location.as_ref().map(|location| location.line),
        column: problem.location.as_ref().map(|location| location.column),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}
