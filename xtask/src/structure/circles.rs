//! Circles of imports, among the files of a crate and among files and folders side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{self, Graph, Knot};
use super::report::{Step, Violation};
use super::resolve::{Arrow, Arrows};
use super::tree::{File, Tree};

/// Finds the circles of files, then the circles of rooms that are not covered by them.
pub(super) fn find(tree: &Tree, arrows: &Arrows) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut shown = BTreeSet::new();
    for knot in all_knots(graph_of(arrows.keys().copied())) {
        let circle: Vec<_> = around(&knot.circle).collect();
        shown.extend(circle.iter().map(|arrow| between_rooms(tree, *arrow)));
        let steps = circle.iter().map(|arrow| Step::of(tree, arrows, *arrow)).collect();
        found.push(Violation::Circle { of: "files".to_owned(), steps, size: knot.size });
    }
    for (folder, between) in rooms(tree, arrows) {
        for knot in all_knots(graph_of(between.keys().cloned())) {
            let circle: Vec<_> = around(&knot.circle).collect();
            if circle.iter().all(|(from, to)| shown.contains(&(folder.clone(), from.clone(), to.clone()))) {
                continue;
            }
            let files = circle.iter().filter_map(|rooms| between.get(rooms));
            let steps = files.filter_map(|files| {
                let first = Step::of(tree, arrows, *files.first()?);
                Some(Step { more: files.len() - 1, ..first })
            });
            let of = format!("folders ({})", knot.circle.join(", "));
            found.push(Violation::Circle { of, steps: steps.collect(), size: knot.size });
        }
    }
    found
}

/// Returns circles that share no arrow, so that each needs its own cut. Without their arrows the graph has no circle.
fn all_knots<N: Ord + Clone>(mut graph: Graph<N>) -> Vec<Knot<N>> {
    let mut found = Vec::new();
    loop {
        let knots = graph::knots(&graph);
        if knots.is_empty() {
            return found;
        }
        for (from, to) in knots.iter().flat_map(|knot| around(&knot.circle)) {
            graph.entry(from).or_default().remove(&to);
        }
        found.extend(knots);
    }
}

fn graph_of<N: Ord>(arrows: impl Iterator<Item = (N, N)>) -> Graph<N> {
    let mut graph = Graph::new();
    for (from, to) in arrows {
        graph.entry(from).or_insert_with(BTreeSet::new).insert(to);
    }
    graph
}

/// Returns the arrows of a circle: from each node to the next, and from the last to the first.
fn around<N: Clone>(circle: &[N]) -> impl Iterator<Item = (N, N)> {
    circle.iter().cloned().zip(circle.iter().cycle().skip(1).cloned())
}

/// An entry of a folder: a file, or a subfolder together with the file of the same name. It is identified by this name.
type Room = String;

/// The arrows between the files of two rooms, by the folder that contains both rooms.
type Rooms = BTreeMap<String, BTreeMap<(Room, Room), Vec<Arrow>>>;

fn rooms(tree: &Tree, arrows: &Arrows) -> Rooms {
    let mut rooms = Rooms::new();
    for arrow in arrows.keys() {
        let (folder, from, to) = between_rooms(tree, *arrow);
        rooms.entry(folder).or_default().entry((from, to)).or_default().push(*arrow);
    }
    rooms
}

/// Returns the innermost folder that contains both files of an arrow, and the files' rooms in it.
fn between_rooms(tree: &Tree, (from, to): Arrow) -> (String, Room, Room) {
    let (from, to) = (&tree.files[from], &tree.files[to]);
    let shared = from.place.iter().zip(&to.place).take_while(|(from, to)| from == to).count();
    // The folder's own file is a room too, named by its path.
    let room = |file: &File| file.place.get(shared).unwrap_or(&file.path).clone();
    (from.place[..shared].join("/"), room(from), room(to))
}
