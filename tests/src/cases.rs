//! The case corpus: policies, requests and their expected outcomes, as data (`tests/cases/*.yaml`). The format is that
//! of `keyswap_cases`. This module finds the corpus and checks its additional rules.

mod complete;
mod corpus;
mod endpoints;
mod providers;
mod unkept;

pub use corpus::{CorpusSuite, corpus, minting, unkept};
