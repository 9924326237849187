//! The fuzz targets, over the corpus that libFuzzer left: what it found once stays found.

#![expect(clippy::disallowed_methods, reason = "this is a test, not the engine")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::fuzz::{TARGETS, corpus};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

#[test]
fn every_target_holds_for_its_corpus() {
    for (name, target) in TARGETS {
        let text = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        let inputs = corpus::read(&text).unwrap_or_else(|| panic!("{name}.txt is no corpus"));
        assert_eq!(corpus::write(&inputs), text, "{name}.txt is written in another form");
        assert!(inputs.len() >= 3, "{name}");
        inputs.iter().for_each(|input| target(input));
    }
}

#[test]
fn every_corpus_has_a_target() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let targets = TARGETS.iter().map(|(name, _)| format!("{name}.txt"));
    assert_eq!(files.collect::<BTreeSet<_>>(), targets.collect());
}
