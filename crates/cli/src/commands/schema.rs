//! `krt schema`: prints the JSON Schema of `krt.yml`.

use crate::{error::Result, exit, output};
use clap::Args;
use std::process::ExitCode;

/// The arguments of `krt schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
Editors with a YAML language server complete and check krt.yml with it:
  krt schema > .krt.schema.json
and, as the first line of krt.yml,
  # yaml-language-server: $schema=.krt.schema.json

`krt new` writes both. `krt pack` leaves the file out.")]
pub(crate) struct SchemaArgs {}

/// Prints the schema.
pub(crate) fn execute() -> Result<ExitCode> {
    output::print(krt_package::manifest::JSON_SCHEMA.trim_end())?;
    Ok(exit::SUCCESS)
}
