//! Text files of other tools.

use crate::error::{Context as _, Result, bail};
use krt_model::text::decode;
use std::{fs, path::Path};

/// Reads a text file: UTF-8, or the encoding of its byte order mark.
pub(crate) fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("failed to read `{shown}`"))?;
    match decode(&bytes) {
        Ok(decoded) => Ok(decoded.text),
        Err(problem) => {
            bail!("{shown}:{}: the text {}", problem.line, problem.what; hint: "save the file as UTF-8")
        }
    }
}
