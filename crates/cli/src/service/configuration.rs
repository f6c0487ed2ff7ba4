//! Configuration values from outside the package: flags, files, the environment.

use crate::{
    error::{Context as _, Result, bail, error},
    text,
    values::pair,
};
use clap::Args;
use krt_model::{
    name::VariableName,
    version::{Variable, VariableKind, Version},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The sources of configuration values.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Configuration {
    /// Set a configuration variable, or the content of a configuration file
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,

    /// Set a configuration variable to the content of a file
    #[arg(long = "set-file", value_name = "NAME=PATH", value_parser = pair)]
    set_file: Vec<(String, String)>,

    /// Read configuration values from a file with NAME=VALUE lines
    #[arg(long = "env-file", value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

impl Configuration {
    /// All values that a version needs.
    pub(crate) fn values(&self, version: &Version) -> Result<BTreeMap<VariableName, String>> {
        let given = self.given(version)?;
        let lookup = |variable: &Variable| {
            let name = variable.name.as_str();
            given.get(name).cloned().or_else(|| of_environment(name))
        };
        krt_package::config::values(version, lookup).map_err(|missing| {
            let lines = missing.missing.iter().map(|variable| {
                let name = &variable.name;
                match variable.kind {
                    VariableKind::Text => format!("\n  --set {name}=VALUE"),
                    VariableKind::File => format!("\n  --set-file {name}=PATH"),
                }
            });
            error!(
                "the configuration is not complete";
                hint: "give a value with\n  {}", lines.collect::<String>().trim_start()
            )
        })
    }

    /// The values from flags and files: `--set` overrides `--set-file`, which overrides `--env-file`.
    fn given(&self, version: &Version) -> Result<BTreeMap<String, String>> {
        let mut given = BTreeMap::new();
        for file in &self.env_file {
            given.extend(read_env_file(file)?);
        }
        for (name, path) in &self.set_file {
            check_known(version, name, "--set-file")?;
            let content = text::read(Path::new(path))
                .with_context(|| format!("--set-file cannot give a value to {name}"))?;
            given.insert(name.clone(), content);
        }
        for (name, value) in &self.set {
            check_known(version, name, "--set")?;
            given.insert(name.clone(), value.clone());
        }
        Ok(given)
    }
}

/// The value from the environment. Withholds the secrets of `krt` itself from packages.
fn of_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !krt_environment::is_own(name, value))
}

fn check_known(version: &Version, name: &str, flag: &str) -> Result<()> {
    if version.config.iter().any(|variable| variable.name.as_str() == name) {
        return Ok(());
    }
    let known: Vec<_> = version.config.iter().map(|variable| variable.name.as_str()).collect();
    match known.as_slice() {
        [] => bail!("{flag} {name}: the package names no configuration"),
        known => {
            bail!("{flag} {name}: the package has no such configuration"; hint: "it has {}", known.join(", "))
        }
    }
}

fn read_env_file(path: &Path) -> Result<Vec<(String, String)>> {
    let shown = path.display();
    let text = text::read(path)?;
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            bail!("{shown}:{}: expected NAME=VALUE", index + 1);
        };
        values.push((name.trim().to_owned(), unquote(value.trim()).to_owned()));
    }
    Ok(values)
}

/// A value without surrounding quotes.
fn unquote(value: &str) -> &str {
    ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn env_files() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"# a comment\n\nA=1\nexport B = two words \nC='x=y'\nD=\"\"\nE='\n").unwrap();
        let values = read_env_file(file.path()).unwrap();
        let values: Vec<_> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(values, [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", ""), ("E", "'")]);
    }

    #[test]
    fn env_files_in_other_encodings() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let path = tempfile::NamedTempFile::new().unwrap();
        for bytes in [b"\xef\xbb\xbfA=\xc3\xa4\r\nB=2\r\n".to_vec(), utf16("\u{feff}A=ä\r\nB=2\r\n")] {
            std::fs::write(path.path(), bytes).unwrap();
            let values = read_env_file(path.path()).unwrap();
            assert_eq!(values, [("A".to_owned(), "ä".to_owned()), ("B".to_owned(), "2".to_owned())]);
        }
        std::fs::write(path.path(), b"A=1\n# \xe4\nB=2\n").unwrap();
        let error = read_env_file(path.path()).unwrap_err().line();
        assert!(error.contains(":2: the text is not UTF-8") && error.contains("; hint: "), "{error}");
    }

    #[test]
    fn invalid_lines_are_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"A=1\nnonsense\n").unwrap();
        let error = read_env_file(file.path()).unwrap_err().to_string();
        assert!(error.ends_with(":2: expected NAME=VALUE"), "{error}");
    }
}
