//! What somebody may do.

use crate::text::texts;

/// What somebody may do; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look.
    Viewer,
    /// Make, start and publish versions, and configure them.
    Manager,
    /// Everything: users and runtimes, too.
    Admin,
}

texts!(Role { Viewer = "viewer", Manager = "manager", Admin = "admin" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_in_order() {
        assert!(Role::ALL.is_sorted());
        assert_eq!(Role::parse("manager"), Some(Role::Manager));
        assert_eq!(Role::parse("root"), None);
    }
}
