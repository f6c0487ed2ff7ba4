//! The GPUs that the user names.

use std::str::FromStr;

/// The longest list.
const MAX: usize = 256;

/// The value of `--gpus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// `all`: those that NVIDIA's management library lists.
    All,
    /// `none`.
    None,
    /// Indices or identifiers, as in `CUDA_VISIBLE_DEVICES`.
    Listed(Vec<String>),
}

/// Why a list of GPUs is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChoice {
    /// An entry is neither an index nor an identifier.
    #[error("`{0}` is not a GPU: an index such as `0`, or an identifier such as `GPU-5c1e…` or `MIG-…`")]
    Entry(String),
    /// An entry stands twice.
    #[error("`{0}` is named twice")]
    Twice(String),
    /// There are too many.
    #[error("more than {MAX} GPUs are named")]
    Many,
}

impl FromStr for Choice {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => return Ok(Self::All),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let mut ids: Vec<String> = Vec::new();
        for entry in text.split(',').map(str::trim) {
            let id = id(entry).ok_or_else(|| InvalidChoice::Entry(entry.chars().take(80).collect()))?;
            if ids.contains(&id) {
                return Err(InvalidChoice::Twice(id));
            }
            ids.push(id);
        }
        if ids.len() > MAX { Err(InvalidChoice::Many) } else { Ok(Self::Listed(ids)) }
    }
}

/// Reads the value of `CUDA_VISIBLE_DEVICES`: for CUDA, its first invalid or repeated entry ends the list.
pub(super) fn visible(text: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in text.split(',').map_while(|entry| id(entry.trim())).take(MAX) {
        if ids.contains(&id) {
            break;
        }
        ids.push(id);
    }
    ids
}

/// An index or an identifier, as workers get it.
fn id(text: &str) -> Option<String> {
    let is_index = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_index {
        return text.parse::<u16>().ok().map(|index| index.to_string());
    }
    let rest = text.strip_prefix("GPU-").or_else(|| text.strip_prefix("MIG-"))?;
    let is_valid = (1..=80).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/'));
    is_valid.then(|| text.to_owned())
}
