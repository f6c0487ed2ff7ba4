//! Passwords: hashed with argon2id, and refused where they are easily found.

use crate::error::Error;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use std::sync::LazyLock;

/// The fewest characters of a password.
pub(crate) const MIN: usize = 12;
/// The most bytes: more would make hashing dear.
const MAX: usize = 1024;

/// Hashed where there is no user, so that a wrong login takes as long as a wrong password.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("the password of nobody").unwrap_or_default());

/// Hashes a password.
pub(crate) fn hash(password: &str) -> Result<String, Error> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(Error::Hash)?;
    Ok(hash.to_string())
}

/// Whether a password is the one that was hashed; `None` is a user who is not there.
pub(crate) fn verify(password: &str, hash: Option<&str>) -> bool {
    let text = hash.unwrap_or(&NOBODY);
    let fits = PasswordHash::new(text)
        .is_ok_and(|known| Argon2::default().verify_password(password.as_bytes(), &known).is_ok());
    fits && hash.is_some()
}

/// Refuses a password that is easily found.
pub(crate) fn check(login: &str, password: &str) -> Result<(), Error> {
    let weak = |why| Err(Error::WeakPassword { why });
    let mut characters: Vec<char> = password.chars().collect();
    let count = characters.len();
    characters.sort_unstable();
    characters.dedup();
    if count < MIN {
        weak("too short")
    } else if password.len() > MAX {
        weak("too long")
    } else if characters.len() < 5 {
        weak("made of too few different characters")
    } else if login.len() >= 4 && password.to_lowercase().contains(&login.to_lowercase()) {
        weak("made of the login")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_hash_only() {
        let hash = hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(verify("correct horse battery", Some(&hash)));
        assert!(!verify("correct horse", Some(&hash)));
        assert!(!verify("the password of nobody", None));
        assert!(!verify("", Some("")));
    }

    #[test]
    fn weak_ones() {
        let rows = [
            ("short", false),
            ("aaaaaaaaaaaa", false),
            ("abababababab", false),
            ("margaret-2024", false),
            ("correct horse battery", true),
            ("zwölf Zeichen ß", true),
        ];
        for (password, good) in rows {
            assert_eq!(check("margaret", password).is_ok(), good, "{password}");
        }
        assert!(check("m", &"abcdefgh".repeat(200)).is_err());
    }
}
