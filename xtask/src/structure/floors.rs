//! Floors: a top-level module takes names from itself and from modules declared before it, never from later ones.

use super::report::{Step, Violation};
use super::resolve::Arrows;
use super::tree::{FileId, Tree};

/// Finds the arrows that lead to a higher floor.
pub(super) fn find(tree: &Tree, arrows: &Arrows) -> Vec<Violation> {
    let upward = arrows.keys().filter(|(from, to)| height(tree, *from) < height(tree, *to));
    let violation = |arrow: &(FileId, FileId)| Violation::Upward {
        step: Step::of(tree, arrows, *arrow),
        floor: floor(tree, arrow.0),
        above: floor(tree, arrow.1),
    };
    upward.map(violation).collect()
}

/// Returns the position of the file's floor. The root file is above all floors.
fn height(tree: &Tree, file: FileId) -> usize {
    let floor = tree.files[file].place.first();
    tree.order.iter().position(|module| Some(module) == floor).unwrap_or(tree.order.len())
}

fn floor(tree: &Tree, file: FileId) -> String {
    let file = &tree.files[file];
    file.place.first().unwrap_or(&file.path).clone()
}
