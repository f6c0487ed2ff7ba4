//! Finds cycles in a graph.

use std::collections::{BTreeMap, BTreeSet};

/// The groups of nodes that reach one another (Tarjan, "Depth-first search and linear graph algorithms").
pub(crate) fn cycles(graph: &BTreeMap<usize, BTreeSet<usize>>) -> Vec<Vec<usize>> {
    let mut search = Search::new(graph);
    for node in graph.keys() {
        if !search.order.contains_key(node) {
            search.visit(*node);
        }
    }
    search.found
}

struct Search<'a> {
    graph: &'a BTreeMap<usize, BTreeSet<usize>>,
    order: BTreeMap<usize, usize>,
    lowest: BTreeMap<usize, usize>,
    stack: Vec<usize>,
    found: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a BTreeMap<usize, BTreeSet<usize>>) -> Self {
        Self { graph, order: BTreeMap::new(), lowest: BTreeMap::new(), stack: Vec::new(), found: Vec::new() }
    }

    fn visit(&mut self, node: usize) {
        let order = self.order.len();
        self.order.insert(node, order);
        self.lowest.insert(node, order);
        self.stack.push(node);
        for next in self.graph.get(&node).into_iter().flatten() {
            if !self.order.contains_key(next) {
                self.visit(*next);
                self.lower(node, self.lowest[next]);
            } else if self.stack.contains(next) {
                self.lower(node, self.order[next]);
            }
        }
        if self.lowest[&node] == order {
            let start = self
                .stack
                .iter()
                .rposition(|other| *other == node)
                .expect("a node is on the stack until here");
            let mut group = self.stack.split_off(start);
            group.sort_unstable();
            if group.len() > 1 {
                self.found.push(group);
            }
        }
    }

    fn lower(&mut self, node: usize, to: usize) {
        let lowest = self.lowest.entry(node).or_insert(to);
        *lowest = to.min(*lowest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_reach_one_another_are_a_cycle() {
        let graph = [(1, vec![2]), (2, vec![3, 4]), (3, vec![1]), (4, vec![5]), (5, vec![4, 6]), (6, vec![])];
        let graph = graph.into_iter().map(|(node, next)| (node, next.into_iter().collect())).collect();
        assert_eq!(cycles(&graph), [vec![4, 5], vec![1, 2, 3]]);
    }
}
