//! Values of a version's configuration.

use super::Runtime;
use crate::{team::show, values::pair};
use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};

/// What `krt version config` takes.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The version
    name: String,

    /// Give it a value
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,

    /// Give it a file's content
    #[arg(long = "set-file", value_name = "NAME=PATH", value_parser = pair)]
    set_file: Vec<(String, String)>,

    /// Take its own value away
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
}

/// Values are not printed: a terminal's history keeps them.
const COLUMNS: [&str; 4] = ["name", "kind", "set", "inherited_from"];

impl Runtime<'_> {
    pub(super) async fn config(&self, args: &ConfigArgs) -> anyhow::Result<()> {
        let path = format!("{}/versions/{}/config", self.path, args.name);
        let values = args.values()?;
        let entries = match values.is_empty() {
            true => self.api.get(&path).await?,
            false => self.api.put(&path, &json!({"values": values, "comment": self.comment})).await?,
        };
        if self.json { show::json(&entries) } else { show::table(&entries, &COLUMNS) }
    }
}

impl ConfigArgs {
    fn values(&self) -> anyhow::Result<Map<String, Value>> {
        let mut values = Map::new();
        for (name, path) in &self.set_file {
            let content = std::fs::read_to_string(path)
                .with_context(|| format!("failed to read `{path}`, which --set-file names for {name}"))?;
            values.insert(name.clone(), content.into());
        }
        values.extend(self.set.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        values.extend(self.unset.iter().map(|name| (name.clone(), Value::Null)));
        Ok(values)
    }
}
