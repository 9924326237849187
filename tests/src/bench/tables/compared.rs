//! The set-ups that the tables of growth compare.

use anyhow::{Context as _, Result};

use crate::bench::set_ups::{BARE, RULED_SET_UPS, SET_UPS, SetUp};

/// The compared set-ups: Envoy alone, an empty filter, Keyswap with a token.
pub(super) const COMPARED: [&str; 3] = [BARE, "empty-filter", KEYSWAP];
/// The set-ups whose policy has rules on bodies.
pub(super) const RULED: [&str; 2] = ["keyswap-models", "keyswap-metered"];
/// The name of Keyswap's set-up with a token of the registry.
pub(super) const KEYSWAP: &str = "keyswap-token";

/// Returns the set-up of this name.
pub(super) fn set_up(name: &str) -> Result<&'static SetUp> {
    let mut all = SET_UPS.iter().chain(&RULED_SET_UPS);
    all.find(|set_up| set_up.name == name).with_context(|| format!("there is no set-up `{name}`"))
}
