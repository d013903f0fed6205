//! Order and nothing else: nodes are numbers, edges say why, a cycle is shown as a circle.
//!
//! Knows neither hosts nor YAML. Ties break by number, so the same input gives the same order every time.

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

/// A directed graph whose edges carry a reason.
#[derive(Debug, Clone)]
pub struct Graph<Why> {
    inner: DiGraph<(), Why, u32>,
    /// The pairs that have an edge: looking through the edges of a node that has a thousand is slow.
    pairs: HashSet<(NodeIndex<u32>, NodeIndex<u32>)>,
}

impl<Why: Clone> Graph<Why> {
    /// A graph of `nodes` nodes, numbered from 0, and no edges.
    pub fn new(nodes: usize) -> Self {
        let mut inner = DiGraph::with_capacity(nodes, nodes);
        for _ in 0..nodes {
            inner.add_node(());
        }
        Self { inner, pairs: HashSet::new() }
    }

    pub fn len(&self) -> usize {
        self.inner.node_count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `first` is done before `then`. The first reason given for a pair is kept; both must be nodes of the graph.
    pub fn edge(&mut self, first: usize, then: usize, why: Why) {
        let (a, b) = (index(first), index(then));
        if self.pairs.insert((a, b)) {
            self.inner.add_edge(a, b, why);
        }
    }

    /// What must be done before a node, with the reasons, by number.
    pub fn before(&self, node: usize) -> Vec<(usize, &Why)> {
        let edges = self.inner.edges_directed(index(node), petgraph::Incoming);
        let mut before: Vec<_> = edges.map(|edge| (edge.source().index(), edge.weight())).collect();
        before.sort_by_key(|(node, _)| *node);
        before
    }

    /// What waits for a node, by number.
    pub fn after(&self, node: usize) -> Vec<usize> {
        let mut after: Vec<_> = self.inner.neighbors(index(node)).map(NodeIndex::index).collect();
        after.sort_unstable();
        after
    }

    /// All edges, by number of their first node, then of their second.
    pub fn edges(&self) -> Vec<(usize, usize, &Why)> {
        let all = self.inner.edge_references();
        let mut all: Vec<_> = all.map(|e| (e.source().index(), e.target().index(), e.weight())).collect();
        all.sort_by_key(|(a, b, _)| (*a, *b));
        all
    }

    /// Everything that must be done before a node, near and far.
    pub fn ancestors(&self, node: usize) -> Vec<usize> {
        let mut seen = vec![false; self.len()];
        let mut queue = VecDeque::from([node]);
        while let Some(next) = queue.pop_front() {
            for (before, _) in self.before(next) {
                if !std::mem::replace(&mut seen[before], true) {
                    queue.push_back(before);
                }
            }
        }
        (0..self.len()).filter(|n| seen[*n]).collect()
    }

    /// The nodes in an order that keeps every edge; among those that may come next, the lowest number comes first.
    ///
    /// # Errors
    /// A cycle: its nodes in order, each with the reason why it comes before the next (the last before the first).
    pub fn order(&self) -> Result<Vec<usize>, Vec<(usize, Why)>> {
        let mut waits: Vec<usize> =
            self.inner.node_indices().map(|n| self.inner.edges_directed(n, petgraph::Incoming).count()).collect();
        let mut ready: BinaryHeap<_> = (0..self.len()).filter(|n| waits[*n] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for after in self.inner.neighbors(index(node)) {
                waits[after.index()] -= 1;
                if waits[after.index()] == 0 {
                    ready.push(Reverse(after.index()));
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(self.circle()) }
    }

    /// A shortest cycle through the lowest-numbered node that is on one.
    fn circle(&self) -> Vec<(usize, Why)> {
        let knots = tarjan_scc(&self.inner).into_iter();
        let on_cycle = |knot: &Vec<NodeIndex<u32>>| knot.len() > 1 || self.inner.contains_edge(knot[0], knot[0]);
        let Some(start) = knots.filter(on_cycle).flatten().min() else { return Vec::new() };
        let mut came: HashMap<NodeIndex<u32>, NodeIndex<u32>> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            let mut next: Vec<_> = self.inner.neighbors(node).collect();
            next.sort_unstable();
            for neighbour in next {
                if neighbour == start {
                    return self.walk_back(start, node, &came);
                }
                came.entry(neighbour).or_insert_with(|| {
                    queue.push_back(neighbour);
                    node
                });
            }
        }
        Vec::new()
    }

    fn walk_back(
        &self,
        start: NodeIndex<u32>,
        last: NodeIndex<u32>,
        came: &HashMap<NodeIndex<u32>, NodeIndex<u32>>,
    ) -> Vec<(usize, Why)> {
        let mut path = vec![last];
        while let Some(before) = path.last().filter(|node| **node != start).and_then(|node| came.get(node)) {
            path.push(*before);
        }
        path.reverse();
        let next = path.iter().skip(1).chain([&start]);
        path.iter()
            .zip(next)
            .filter_map(|(a, b)| self.inner.edges_connecting(*a, *b).next().map(|e| (a.index(), e.weight().clone())))
            .collect()
    }
}

fn index(node: usize) -> NodeIndex<u32> {
    NodeIndex::new(node)
}

#[cfg(test)]
mod tests {
    use super::Graph;
    use proptest::prelude::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph<String> {
        let mut graph = Graph::new(nodes);
        for (a, b) in edges {
            graph.edge(*a, *b, format!("{a}>{b}"));
        }
        graph
    }

    #[test]
    fn ties_break_by_number() {
        assert_eq!(graph(4, &[(3, 0)]).order().unwrap(), [1, 2, 3, 0]);
    }

    #[test]
    fn a_cycle_is_a_circle_with_reasons() {
        let circle = graph(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)]).order().unwrap_err();
        let expected = [(1, "1>2".to_owned()), (2, "2>3".to_owned()), (3, "3>1".to_owned())];
        assert_eq!(circle, expected);
        assert_eq!(graph(1, &[(0, 0)]).order().unwrap_err(), [(0, "0>0".to_owned())]);
    }

    proptest! {
        #[test]
        fn every_order_keeps_every_edge(edges in prop::collection::vec((0usize..30, 0usize..30), 0..80)) {
            let graph = graph(30, &edges);
            match graph.order() {
                Ok(order) => {
                    let mut at = [0; 30];
                    for (position, node) in order.iter().enumerate() { at[*node] = position; }
                    prop_assert_eq!(order.len(), 30);
                    for (a, b) in &edges { prop_assert!(at[*a] < at[*b]); }
                    prop_assert_eq!(graph.order().unwrap(), order);
                }
                Err(circle) => {
                    prop_assert!(!circle.is_empty());
                    for (i, (node, why)) in circle.iter().enumerate() {
                        let next = circle[(i + 1) % circle.len()].0;
                        prop_assert!(edges.contains(&(*node, next)));
                        prop_assert_eq!(why, &format!("{node}>{next}"));
                    }
                }
            }
        }

        #[test]
        fn ancestors_are_all_that_lead_here(edges in prop::collection::vec((0usize..12, 0usize..12), 0..30)) {
            let edges: Vec<_> = edges.into_iter().filter(|(a, b)| a < b).collect();
            let graph = graph(12, &edges);
            for node in 0..12 {
                let found = graph.ancestors(node);
                for before in 0..12 {
                    let direct = edges.contains(&(before, node));
                    let far = edges.iter().any(|(a, b)| *a == before && *b != node && found.contains(b));
                    prop_assert_eq!(found.contains(&before), direct || far);
                }
            }
        }
    }
}
