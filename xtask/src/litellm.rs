//! `cargo xtask litellm`: what the keys of a real LiteLLM proxy reach, recorded for the test of the import.

use anyhow::Result;
use keyswap_tests::litellm;

pub(crate) fn run() -> Result<()> {
    eprintln!("running LiteLLM with PostgreSQL …");
    println!("{}", litellm::record()?.display());
    Ok(())
}
