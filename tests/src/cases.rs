//! The case corpus: policies, requests and their expected outcomes, as data (`tests/cases/*.yaml`). The format is that of
//! `keyswap_cases`; here is where the corpus is, and what it demands beyond the format.

mod complete;
mod corpus;
mod providers;

pub use corpus::{CorpusSuite, corpus};
