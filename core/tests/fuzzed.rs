//! The fuzz targets over the corpus that libFuzzer left, and over changed inputs of it: what it found once stays found.

#![expect(clippy::disallowed_methods, reason = "this is a test, not the engine")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::fuzz::{Target, corpus, promises::PROMISES, target};

/// The variable with the number of changed inputs for each target, and the number unless it is set.
const ROUNDS: (&str, usize) = ("KEYSWAP_FUZZ_ROUNDS", 100);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn inputs(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
    let inputs = corpus::read(&text).unwrap_or_else(|| panic!("{name}.txt is no corpus"));
    assert_eq!(corpus::write(&inputs), text, "{name}.txt is written in another form");
    inputs
}

fn targets() -> impl Iterator<Item = (&'static str, Target)> {
    PROMISES.into_iter().map(|(name, _)| (name, target(name).unwrap_or_else(|| panic!("no target `{name}`"))))
}

#[test]
fn every_corpus_has_a_target() {
    let files =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let expect = PROMISES.iter().map(|(name, _)| format!("{name}.txt"));
    assert_eq!(files.collect::<BTreeSet<_>>(), expect.collect());
}

#[test]
fn every_target_holds_for_its_corpus() {
    for (name, target) in targets() {
        let inputs = inputs(name);
        assert!(inputs.len() >= 3, "{name}");
        for input in &inputs {
            target(input);
        }
    }
}

#[test]
fn every_target_holds_for_inputs_that_are_like_those_of_its_corpus() {
    let rounds = std::env::var(ROUNDS.0).map_or(ROUNDS.1, |rounds| rounds.parse().unwrap());
    for (name, target) in targets() {
        let (inputs, mut random) = (inputs(name), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        for _ in 0..rounds {
            let input = changed(&inputs, &mut |below| random.next_u32() as usize % below.max(1));
            // The input is what a failure is repeated with.
            let holds = std::panic::catch_unwind(|| target(&input)).is_ok();
            assert!(holds, "`{name}` does not hold for {}", input.escape_ascii());
        }
    }
}

/// Returns the beginning of one input and the end of another, with a few bytes changed. `below` returns a random number.
fn changed(inputs: &[Vec<u8>], below: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let [first, second] = [(); 2].map(|()| &inputs[below(inputs.len())]);
    let mut input = first.clone();
    if below(3) == 0 {
        input.truncate(below(input.len() + 1));
        input.extend(&second[below(second.len() + 1)..]);
    }
    for _ in 0..below(4) {
        let (at, byte) = (below(input.len()), below(256).to_le_bytes()[0]);
        match below(4) {
            0 => input.insert(at, byte),
            1 if at < input.len() => _ = input.remove(at),
            // A part stands there twice.
            2 => {
                let end = input.len().min(at + below(40));
                let part = input[at.min(end)..end].to_vec();
                input.splice(at..at, part);
            }
            _ => input.iter_mut().skip(at).take(1).for_each(|place| *place = byte),
        }
    }
    input
}
