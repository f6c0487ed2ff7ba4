//! Short names derived from content.

use sha2::{Digest, Sha256};

/// Hashes parts to one short text; equal parts in equal order give equal texts.
#[derive(Clone, Default)]
pub(crate) struct Key(Sha256);

impl Key {
    /// Adds a part with its length, so that adjacent parts stay distinct.
    pub(crate) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds a part, for chaining.
    #[must_use]
    pub(crate) fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        self.add(part);
        self
    }

    /// The key: 24 hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        self.0.finalize().iter().take(12).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_equal_parts_have_equal_keys(a in prop::collection::vec("[ab]{0,2}", 0..4), b in prop::collection::vec("[ab]{0,2}", 0..4)) {
            let key = |parts: &[String]| parts.iter().fold(Key::default(), Key::with).finish();
            prop_assert_eq!(key(&a) == key(&b), a == b);
            prop_assert_eq!(key(&a).len(), 24);
        }
    }
}
