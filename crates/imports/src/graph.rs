//! Which module uses which, over a whole workspace.

use crate::{
    module::{Id, Reference},
    workspace::{Target, Workspace},
};
use std::collections::{HashMap, HashSet};

/// One use of a module by another.
#[derive(Debug)]
pub(crate) struct Use<'a> {
    pub(crate) from: (usize, Id),
    pub(crate) to: Target,
    pub(crate) reference: &'a Reference,
}

impl Workspace {
    /// Every use of a module by another, or of something outside.
    pub(crate) fn uses(&self) -> Vec<Use<'_>> {
        let mut uses = Vec::new();
        for (krate, tree) in self.crates.iter().enumerate() {
            for (id, module) in tree.modules.iter().enumerate() {
                let from = (krate, id);
                let mut known: HashMap<&[String], HashSet<Target>> = HashMap::new();
                for reference in &module.references {
                    let path = reference.path.as_slice();
                    let places = known.entry(path).or_insert_with(|| self.resolve(krate, id, path));
                    let others = places.iter().filter(|place| !is_in(place, from)).cloned();
                    uses.extend(others.map(|to| Use { from, to, reference }));
                }
            }
        }
        uses
    }
}

fn is_in(place: &Target, from: (usize, Id)) -> bool {
    matches!(place, Target::Module { krate, module, .. } if (*krate, *module) == from)
}
