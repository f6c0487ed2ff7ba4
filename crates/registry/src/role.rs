//! Roles of users.

use crate::text::texts;

/// A role; each includes the permissions of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Creates, configures, starts and publishes versions.
    Manager,
    /// Does everything, including users and runtimes.
    Admin,
}

texts!(Role { Viewer = "viewer", Manager = "manager", Admin = "admin" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered() {
        assert!(Role::ALL.is_sorted());
        assert_eq!(Role::parse("manager"), Some(Role::Manager));
        assert_eq!(Role::parse("root"), None);
    }
}
