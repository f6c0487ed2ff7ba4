//! The closed sets of a team's server: roles, states of versions, actions. The API, the registry and people have the same
//! text for each value.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Declares an enum whose values have texts: `as_str`, `parse`, `Display`, serde and `ALL`.
macro_rules! texts {
    ($(#[$of_kind:meta])* $kind:ident { $($(#[$of_variant:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$of_kind])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $kind {
            $($(#[$of_variant])* #[serde(rename = $text)] $variant,)+
        }

        impl $kind {
            /// All values, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its text.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Parses its text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

texts! {
    /// A role; each includes the permissions of those before it.
    Role {
        /// Reads.
        Viewer = "viewer",
        /// Creates, configures, starts and publishes versions.
        Manager = "manager",
        /// Does everything, including users and runtimes.
        Admin = "admin",
    }
}

texts! {
    /// The state of a version.
    State {
        /// Uploaded, never started.
        Created = "CREATED",
        /// Its nodes are being started.
        Starting = "STARTING",
        /// It runs, for holders of a token.
        Started = "STARTED",
        /// It runs, for all clients of its runtime.
        Published = "PUBLISHED",
        /// It finishes what is in flight, and ends.
        Stopping = "STOPPING",
        /// It does not run.
        Stopped = "STOPPED",
        /// It failed; its reasons say why.
        Error = "ERROR",
    }
}

texts! {
    /// The wanted state of a version.
    DesiredState {
        /// Not running.
        Stopped = "stopped",
        /// Running.
        Started = "started",
        /// Running, for all clients of its runtime.
        Published = "published",
    }
}

texts! {
    /// An action on a version.
    VersionAction {
        /// Start it.
        Start = "start",
        /// Stop it.
        Stop = "stop",
        /// Route its runtime's clients to it.
        Publish = "publish",
        /// Stop routing them to it.
        Unpublish = "unpublish",
        /// Delete it.
        Delete = "delete",
    }
}

texts! {
    /// An audited action.
    #[expect(missing_docs, reason = "the names say it all")]
    AuditAction {
        SignedIn = "signed_in",
        SignInFailed = "sign_in_failed",
        SignedOut = "signed_out",
        PasswordChanged = "password_changed",
        UserCreated = "user_created",
        UserChanged = "user_changed",
        UserDeleted = "user_deleted",
        TokenCreated = "token_created",
        TokenDeleted = "token_deleted",
        SessionRevoked = "session_revoked",
        RuntimeCreated = "runtime_created",
        RuntimeChanged = "runtime_changed",
        RuntimeDeleted = "runtime_deleted",
        VersionCreated = "version_created",
        VersionDeleted = "version_deleted",
        VersionStarted = "version_started",
        VersionStopped = "version_stopped",
        VersionPublished = "version_published",
        VersionUnpublished = "version_unpublished",
        VersionFailed = "version_failed",
        ConfigChanged = "config_changed",
        BoardSaved = "board_saved",
        BoardDeleted = "board_deleted",
        AuditPruned = "audit_pruned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered() {
        assert!(Role::ALL.is_sorted());
    }

    #[test]
    fn texts_are_parsed() {
        assert_eq!(Role::parse("manager"), Some(Role::Manager));
        assert_eq!(Role::parse("root"), None);
        let parsed = AuditAction::ALL.iter().filter_map(|action| AuditAction::parse(action.as_str()));
        assert!(parsed.eq(AuditAction::ALL.iter().copied()));
    }
}
