//! Circles in a directed graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A graph: for each node, the nodes that it points to.
pub(super) type Graph<N> = BTreeMap<N, BTreeSet<N>>;

/// A set of nodes that all reach each other.
pub(super) struct Knot<N> {
    /// A shortest circle through the knot, in the order of its arrows.
    pub(super) circle: Vec<N>,
    /// The number of nodes in the knot.
    pub(super) size: usize,
}

/// Finds every knot of two or more nodes. The order of the result depends on the graph alone.
pub(super) fn knots<N: Ord + Clone>(graph: &Graph<N>) -> Vec<Knot<N>> {
    let reached: BTreeMap<_, _> = graph.keys().map(|node| (node, reach(graph, node))).collect();
    let mut knots = Vec::new();
    let mut known = BTreeSet::new();
    for (node, ahead) in &reached {
        let leads_back = |other: &N| reached.get(other).is_some_and(|ahead| ahead.contains(*node));
        let knot: BTreeSet<_> = ahead.iter().filter(|other| leads_back(other)).cloned().collect();
        if knot.len() < 2 || !known.insert(knot.clone()) {
            continue;
        }
        let circles = knot.iter().filter_map(|node| shortest_circle(graph, node));
        if let Some(circle) = circles.min_by_key(Vec::len) {
            knots.push(Knot { circle, size: knot.len() });
        }
    }
    knots
}

/// Returns the nodes that are reachable from a node. The node itself is included only if it is in a circle.
fn reach<N: Ord + Clone>(graph: &Graph<N>, from: &N) -> BTreeSet<N> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(node) = next.pop() {
        next.extend(graph.get(node).into_iter().flatten().filter(|to| reached.insert((*to).clone())));
    }
    reached
}

/// Returns a shortest circle through the node, `None` if it is in no circle.
fn shortest_circle<N: Ord + Clone>(graph: &Graph<N>, start: &N) -> Option<Vec<N>> {
    let mut came_from = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(node) = next.pop_front() {
        for to in graph.get(node).into_iter().flatten() {
            if to == start {
                let way = std::iter::successors(Some(node), |node| came_from.get(node).copied());
                let mut circle: Vec<_> = way.cloned().collect();
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(to) {
                came_from.insert(to, node);
                next.push_back(to);
            }
        }
    }
    None
}
