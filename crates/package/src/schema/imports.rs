//! The graph of imports, and its cost for the compiler.

use prost_types::FileDescriptorProto;
use std::collections::{HashMap, HashSet};

/// The most paths along `import public` from a file to others. The compiler walks each of them, and a few
/// files that import each other can have an impossible number.
const MAX_PATHS: u64 = 10_000;

/// There are more.
#[derive(Debug, thiserror::Error)]
#[error(
    "`import public` leads from `{name}` to other files on more than {MAX_PATHS} ways: import what is needed where it is needed"
)]
pub(super) struct TooMany {
    name: String,
}

/// The imports of one file.
#[derive(Default)]
struct Node {
    all: Vec<String>,
    public: Vec<String>,
}

/// The imports of all files read.
#[derive(Default)]
pub(super) struct Imports {
    nodes: HashMap<String, Node>,
    /// The number of paths along a file's public imports, once checked.
    ways: HashMap<String, u64>,
}

impl Imports {
    /// Adds a file; an unreadable one has no imports.
    pub(super) fn add(&mut self, name: &str, file: Option<&FileDescriptorProto>) {
        let node = file.map(|file| {
            let public = file.public_dependency.iter().filter_map(|&index| {
                let index = usize::try_from(index).ok()?;
                file.dependency.get(index).cloned()
            });
            Node { public: public.collect(), all: file.dependency.clone() }
        });
        self.nodes.insert(name.to_owned(), node.unwrap_or_default());
    }

    pub(super) fn is_known(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// A file and its imports, in dependency order.
    pub(super) fn order(&self, name: &str) -> Vec<String> {
        let (mut order, mut seen) = (Vec::new(), HashSet::from([name]));
        let mut open = vec![(name, 0)];
        while let Some((name, next)) = open.pop() {
            let imports = self.nodes.get(name).map(|node| node.all.as_slice()).unwrap_or_default();
            match imports.get(next) {
                None => order.push(name.to_owned()),
                Some(import) => {
                    open.push((name, next + 1));
                    if self.nodes.contains_key(import) && seen.insert(import) {
                        open.push((import, 0));
                    }
                }
            }
        }
        order
    }

    /// Checks that the compiler can follow a file's public imports, which have been checked before.
    pub(super) fn check(&mut self, name: &str) -> Result<(), TooMany> {
        let Some(node) = self.nodes.get(name) else { return Ok(()) };
        let ways = |imports: &[String]| {
            let each = imports.iter().map(|import| self.ways.get(import).copied().unwrap_or(0));
            each.fold(0_u64, u64::saturating_add)
        };
        let (all, public) = (ways(&node.all), ways(&node.public).saturating_add(node.public.len() as u64));
        self.ways.insert(name.to_owned(), public);
        if all > MAX_PATHS { Err(TooMany { name: name.to_owned() }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(all: &[&str], public: &[i32]) -> FileDescriptorProto {
        FileDescriptorProto {
            dependency: all.iter().map(ToString::to_string).collect(),
            public_dependency: public.to_vec(),
            ..FileDescriptorProto::default()
        }
    }

    #[test]
    fn imports_come_first_even_in_cycles() {
        let mut imports = Imports::default();
        imports.add("a", Some(&file(&["b", "c"], &[])));
        imports.add("b", Some(&file(&["c", "google"], &[])));
        imports.add("c", Some(&file(&["a"], &[])));
        assert_eq!(imports.order("a"), ["c", "b", "a"]);
        assert_eq!(imports.order("c"), ["b", "a", "c"]);
    }

    #[test]
    fn paths_double_with_each_layer() {
        let mut imports = Imports::default();
        let name = |layer: usize, side: usize| format!("{layer}{side}");
        imports.add("00", Some(&file(&[], &[])));
        imports.add("01", Some(&file(&[], &[])));
        let mut refused = None;
        for layer in 1..30 {
            for side in 0..2 {
                let below = [name(layer - 1, 0), name(layer - 1, 1)];
                imports.add(&name(layer, side), Some(&file(&[&below[0], &below[1]], &[0, 1])));
                if imports.check(&name(layer, side)).is_err() {
                    refused.get_or_insert(layer);
                }
            }
        }
        assert_eq!(refused, Some(13), "2 + 4 + … + 2^13 are more than 10,000");
    }
}
