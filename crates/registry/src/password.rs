//! Passwords, hashed with argon2id; passwords that are easy to guess are refused.

use crate::error::Error;
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self,
        phc::{Output, PasswordHash, Salt},
    },
};
use std::sync::LazyLock;
use zxcvbn::{Score, zxcvbn};

/// The fewest characters of a password.
pub(crate) const MIN_LENGTH: usize = 12;
/// The most bytes: more would make hashing expensive.
const MAX_BYTES: usize = 1024;

/// The salt's length in bytes.
const SALT: usize = 16;
/// From this size in bytes, glibc always maps memory (mallopt(3), `M_MMAP_THRESHOLD`: at most 32 MiB).
const MMAP_THRESHOLD: usize = 33 << 20;

/// Verified where no user exists, so that a wrong login takes as long as a wrong password. No password has
/// this hash: it carries the real parameters, but was not computed by hashing.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| {
    let params = Params::default();
    let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
    format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", "A".repeat(22), "A".repeat(43))
});

/// Obvious words of a password, beside its user's login.
const COMMON_WORDS: [&str; 3] = ["krt", "konstellation", "runtime"];

pub(crate) fn hash(password: &str) -> Result<String, Error> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(Error::Random)?;
    let argon = Argon2::default();
    let hashed = || -> Result<PasswordHash, password_hash::Error> {
        Ok(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: argon.params().try_into()?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(compute(&argon, password, &salt, Params::DEFAULT_OUTPUT_LEN)?),
        })
    };
    Ok(hashed().map_err(Error::Hash)?.to_string())
}

/// Whether a password matches a hash; `None` stands for a user that does not exist. A password above the
/// longest length is never hashed.
pub(crate) fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.len() > MAX_BYTES {
        return false;
    }
    let fits = || -> Option<bool> {
        let known = PasswordHash::new(hash.unwrap_or(&DUMMY_HASH)).ok()?;
        let (salt, output) = (known.salt.as_ref()?, known.hash.as_ref()?);
        let params = Params::try_from(&known).ok()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // The comparison takes constant time.
        Some(compute(&argon, password, salt, output.len()).ok()? == *output)
    };
    fits() == Some(true) && hash.is_some()
}

/// Computes a password's hash. Reserves its memory in one piece, of a size that allocators map and unmap;
/// otherwise the 19 MiB in use would stay with each thread that has ever hashed a password.
fn compute(argon: &Argon2<'_>, password: &str, salt: &[u8], length: usize) -> argon2::Result<Output> {
    let blocks = argon.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(MMAP_THRESHOLD / Block::SIZE));
    memory.resize(blocks, Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let output = &mut output[..length.min(Output::MAX_LENGTH)];
    argon.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory)?;
    Output::new(output).map_err(|_| argon2::Error::OutputTooLong)
}

/// Refuses a password that is easy to guess.
pub(crate) fn check(login: &str, password: &str) -> Result<(), Error> {
    let weak = |why| Err(Error::WeakPassword { why, min: MIN_LENGTH });
    if password.chars().count() < MIN_LENGTH {
        weak("too short")
    } else if password.len() > MAX_BYTES {
        weak("too long")
    } else if zxcvbn(password, &obvious(login)).score() < Score::Three {
        weak("too easy to guess")
    } else {
        Ok(())
    }
}

/// The words that an attacker tries first for a user.
fn obvious(login: &str) -> Vec<&str> {
    let parts = login.split(|character: char| !character.is_alphanumeric());
    COMMON_WORDS.into_iter().chain([login]).chain(parts).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_only_its_hash() {
        let hash = hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(verify("correct horse battery", Some(&hash)));
        assert!(!verify("correct horse", Some(&hash)));
        assert!(!verify("the password of nobody", None));
        assert!(!verify("", Some("")));
    }

    #[test]
    fn unknown_users_cost_the_same_work() {
        let real = hash("correct horse battery").unwrap();
        let params = |text: &str| text.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(params(&DUMMY_HASH), params(&real));
        assert_eq!(DUMMY_HASH.len(), real.len());
    }

    #[test]
    fn weak_passwords() {
        let rows = [
            ("short", false),
            ("aaaaaaaaaaaa", false),
            ("abababababab", false),
            ("margaret-2024", false),
            ("Margaret.Hamilton1", false),
            ("password1234", false),
            ("P@ssw0rd1234", false),
            ("qwertyuiop123", false),
            ("123456789012", false),
            ("iloveyou12345", false),
            ("konstellation1", false),
            ("correct horse battery", true),
            ("zwölf Zeichen ß", true),
            ("kX9#vT2!mQ7z", true),
        ];
        for (password, good) in rows {
            assert_eq!(check("margaret.hamilton", password).is_ok(), good, "{password}");
        }
        assert!(check("m", &"abcdefgh".repeat(200)).is_err());
    }
}
