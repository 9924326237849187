//! `cargo xtask scale`: as many tokens, people, providers and streams as the promises name.
//!
//! These are tests, `scale::` of `tests/tests`: there the numbers are small.

use anyhow::Result;

use crate::measured::{self, Options, Promise};

const PROMISES: [Promise; 4] = [
    (
        "people",
        "a person is let in however many there are",
        "JWTs of many people in turn, at last without the registry",
    ),
    (
        "policy",
        "each provider gets its own credential, however many there are",
        "a policy with many providers and tokens, and requests by each for its own provider and for another's",
    ),
    (
        "streams",
        "a stream that ends early leaves nothing behind",
        "streams reset in any state: at the head, in the body, without an answer, at its head, in it",
    ),
    (
        "tokens",
        "a token is let in however many there are",
        "requests by many tokens in turn, then by each once more",
    ),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    measured::run("scale", &PROMISES, options)
}
