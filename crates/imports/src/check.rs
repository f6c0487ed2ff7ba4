//! Judges the imports of a workspace by its rules.

use crate::{
    cycles::cycles,
    graph::Use,
    module::{Crate, Id, ROOT},
    rules::{Cycle, Rules, Table},
    workspace::{Target, Workspace},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// An import that a rule forbids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that the rules forbid.
#[must_use]
pub fn violations(workspace: &Workspace, rules: &Rules<'_>) -> BTreeSet<Violation> {
    let uses = workspace.uses();
    let checker = Checker { workspace, rules, uses: &uses };
    let mut found = BTreeSet::new();
    checker.manifests(&mut found);
    checker.uses(&mut found);
    checker.layers_are_complete(&mut found);
    checker.check_cycles(&mut found);
    found
}

struct Checker<'a> {
    workspace: &'a Workspace,
    rules: &'a Rules<'a>,
    uses: &'a [Use<'a>],
}

impl Checker<'_> {
    fn manifests(&self, found: &mut BTreeSet<Violation>) {
        for krate in &self.workspace.crates {
            let name = short(&krate.package);
            let Some(allowed) = row(self.rules.crates, name) else {
                found.insert(Violation(format!("crates/{name} has no rule")));
                continue;
            };
            let packages = krate.dependencies.values().filter_map(|package| package.strip_prefix("krt-"));
            for other in packages.filter(|other| !allowed.contains(other)) {
                found.insert(Violation(format!("crates/{name} depends on crates/{other}")));
            }
        }
    }

    fn uses(&self, found: &mut BTreeSet<Violation>) {
        for used in self.uses {
            let from = &self.workspace.crates[used.from.0];
            let what = match &used.to {
                Target::Outside(path) => self.outside(from, used, path),
                Target::Module { krate, .. } if *krate != used.from.0 => self.across(from, used, *krate),
                Target::Module { module, .. } => self.across_layers(from, used, *module),
            };
            let reference = used.reference;
            let place = || format!("{}:{}", reference.file.display(), reference.line);
            found.extend(what.map(|what| {
                Violation(format!("{} imports {what} by `{}`", place(), reference.path.join("::")))
            }));
        }
    }

    fn outside(&self, from: &Crate, used: &Use<'_>, path: &[String]) -> Option<String> {
        let (path, forbidden) = (path.join("::"), row(self.rules.outside, short(&from.package))?);
        let below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let hit = forbidden.iter().find(|prefix| below(prefix))?;
        (!used.reference.test).then(|| (*hit).to_owned())
    }

    fn across(&self, from: &Crate, used: &Use<'_>, to: usize) -> Option<String> {
        let (from, to) = (short(&from.package), short(&self.workspace.crates[to].package));
        let allowed = from == to || used.reference.test || row(self.rules.crates, from)?.contains(&to);
        (!allowed).then(|| format!("crates/{to}"))
    }

    fn across_layers(&self, krate: &Crate, used: &Use<'_>, to: Id) -> Option<String> {
        let layers = self.layers(krate)?;
        let top = |module| Some(krate.modules[*krate.ancestors(module).first()?].name.as_str());
        let (from, to) = (top(used.from.1)?, top(to)?);
        let allowed = from == to || row(layers, from)?.contains(&to);
        (!allowed).then(|| to.to_owned())
    }

    fn layers(&self, krate: &Crate) -> Option<Table<'_>> {
        let name = short(&krate.package);
        self.rules.layers.iter().find(|(krate, _)| *krate == name).map(|(_, layers)| *layers)
    }

    fn layers_are_complete(&self, found: &mut BTreeSet<Violation>) {
        for krate in &self.workspace.crates {
            let Some(layers) = self.layers(krate) else { continue };
            let tops = krate.modules[ROOT].children.iter().filter(|(_, id)| !krate.modules[**id].test);
            for (name, _) in tops.filter(|(name, _)| row(layers, name).is_none()) {
                found.insert(Violation(format!("{name} of crates/{} has no rule", short(&krate.package))));
            }
        }
    }

    /// Siblings that use one another, directly or by what is below them.
    fn check_cycles(&self, found: &mut BTreeSet<Violation>) {
        let mut unused: Vec<&Cycle<'_>> = self.rules.cycles.iter().collect();
        for (index, krate) in self.workspace.crates.iter().enumerate() {
            let (name, edges) = (short(&krate.package), self.edges(index, krate));
            for group in cycles(&graph(&edges)) {
                let modules: Vec<String> = group.iter().map(|id| krate.name(*id)).collect();
                let known = |cycle: &&Cycle<'_>| cycle.krate == name && cycle.modules == modules;
                if self.rules.cycles.iter().any(|cycle| known(&cycle)) {
                    unused.retain(|cycle| !known(cycle));
                    continue;
                }
                let inside = |(from, to): &(Id, Id)| group.contains(from) && group.contains(to);
                let lines = edges.iter().filter(|(edge, _)| inside(edge));
                let lines = lines.map(|(_, used)| format!("\n  {}", self.describe(krate, used)));
                let lines: String = lines.collect();
                found
                    .insert(Violation(format!("crates/{name} has a cycle of {}{lines}", modules.join(", "))));
            }
        }
        let unused = unused.into_iter().map(|cycle| (cycle.krate, cycle.modules.join(", ")));
        found.extend(unused.map(|(name, modules)| {
            Violation(format!("crates/{name} has no cycle of {modules}, but a rule for it"))
        }));
    }

    fn describe(&self, krate: &Crate, used: &Use<'_>) -> String {
        let Target::Module { module, .. } = used.to else { return String::new() };
        let reference = used.reference;
        format!(
            "{}:{} imports {} by `{}`",
            reference.file.display(),
            reference.line,
            krate.name(module),
            reference.path.join("::")
        )
    }

    /// Which module uses which of its siblings, each with the first place.
    fn edges(&self, index: usize, krate: &Crate) -> BTreeMap<(Id, Id), &Use<'_>> {
        let mut edges = BTreeMap::new();
        for used in self.uses.iter().filter(|used| used.from.0 == index && !used.reference.test) {
            if let Target::Module { krate: to_krate, module: to, .. } = used.to
                && to_krate == index
            {
                let (from, to) = (krate.ancestors(used.from.1), krate.ancestors(to));
                let apart = from.into_iter().zip(to).find(|(from, to)| from != to);
                apart.into_iter().for_each(|edge| _ = edges.entry(edge).or_insert(used));
            }
        }
        edges
    }
}

fn graph<T>(edges: &BTreeMap<(Id, Id), T>) -> BTreeMap<Id, BTreeSet<Id>> {
    let mut graph: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    for (from, to) in edges.keys() {
        graph.entry(*from).or_default().insert(*to);
    }
    graph
}

fn short(package: &str) -> &str {
    package.strip_prefix("krt-").unwrap_or(package)
}

fn row<'a>(table: Table<'a>, name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(row, _)| *row == name).map(|(_, row)| *row)
}
