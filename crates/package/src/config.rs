//! The values of a version's configuration, which are set outside of the package.

use krt_model::name::VariableName;
use krt_model::version::{Variable, Version};
use std::collections::BTreeMap;

/// The missing values. All are mandatory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value is given for {}", list(.missing))]
pub struct Missing {
    /// The missing variables, in the order of the manifest; at least one.
    pub missing: Vec<Variable>,
}

/// Looks up all values of a version; the error lists all that are missing.
pub fn values(
    version: &Version,
    mut lookup: impl FnMut(&Variable) -> Option<String>,
) -> Result<BTreeMap<VariableName, String>, Missing> {
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for variable in &version.config {
        match lookup(variable) {
            Some(value) => drop(values.insert(variable.name.clone(), value)),
            None => missing.push(variable.clone()),
        }
    }
    if missing.is_empty() { Ok(values) } else { Err(Missing { missing }) }
}

fn list(variables: &[Variable]) -> String {
    let names: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
    crate::suggest::list(&names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::name::Name;
    use krt_model::version::VariableKind;

    fn version(names: &[&str]) -> Version {
        let variable =
            |name: &&str| Variable { name: VariableName::parse(name).unwrap(), kind: VariableKind::Text };
        Version {
            name: Name::parse("v1").unwrap(),
            description: "test".into(),
            proto: "public_input.proto".into(),
            config: names.iter().map(variable).collect(),
            environment: Vec::new(),
            metadata: Vec::new(),
            nodes: Vec::new(),
            workflows: Vec::new(),
        }
    }

    #[test]
    fn all_missing_values_are_reported() {
        let version = version(&["HOST", "KEY", "USER"]);
        let all = values(&version, |variable| Some(variable.name.as_str().to_lowercase())).unwrap();
        assert_eq!(all.values().collect::<Vec<_>>(), ["host", "key", "user"]);

        let some = values(&version, |variable| (variable.name.as_str() == "KEY").then(String::new));
        assert_eq!(some.unwrap_err().to_string(), "no value is given for `HOST` and `USER`");
    }

    #[test]
    fn an_empty_value_is_a_value() {
        assert_eq!(values(&version(&["A"]), |_| Some(String::new())).unwrap().len(), 1);
        assert!(values(&version(&[]), |_| None).unwrap().is_empty());
    }
}
