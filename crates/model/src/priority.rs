//! The priority of a request.

/// How early a request is handled among those that wait, from −10 to 10; 0 is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Priority(i8);

/// The text is not a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` must be a whole number from -{max} to {max}", name = Priority::HEADER, max = MAX)]
pub struct Invalid;

const MAX: i8 = 10;

impl Priority {
    /// The header of a request that has it.
    pub const HEADER: &str = "krt-priority";

    /// Parses the value of the header.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(text).map_err(|_| Invalid)?;
        let level: i8 = text.parse().map_err(|_| Invalid)?;
        (-MAX..=MAX).contains(&level).then_some(Self(level)).ok_or(Invalid)
    }

    /// The number.
    pub fn level(self) -> i8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_the_range() {
        for (text, level) in [("0", 0), ("10", 10), ("-10", -10), ("+3", 3)] {
            assert_eq!(Priority::parse(text.as_bytes()).map(Priority::level), Ok(level), "{text}");
        }
        for text in ["", "11", "-11", "high", "1.0", " 1", "999", "\u{e9}"] {
            assert_eq!(Priority::parse(text.as_bytes()), Err(Invalid), "{text}");
        }
        assert_eq!(Invalid.to_string(), "`krt-priority` must be a whole number from -10 to 10");
    }
}
