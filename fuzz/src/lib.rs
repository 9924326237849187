//! Fuzz targets: for each parser of what others control, the properties that hold for all bytes.
//!
//! A target is a function. libFuzzer feeds it (`cargo xtask fuzz`), and the tests of the engine feed it the corpus:
//! `core/tests/fuzzed.rs` includes this file.

mod bodies;
pub mod corpus;
mod driver;
mod heads;
mod jwts;
mod logs;
mod policies;
pub mod promises;
mod rewritten;
mod services;

/// A function that panics where a property does not hold.
pub type Target = fn(&[u8]);

/// Returns the target of this name.
pub fn target(name: &str) -> Option<Target> {
    Some(match name {
        "answer" => bodies::answer,
        "aws" => bodies::aws,
        "bundle" => services::bundle,
        "claims" => jwts::claims,
        "credential" => services::credential,
        "discovery" => jwts::discovery,
        "events" => bodies::events,
        "feed" => services::feed,
        "form" => bodies::form,
        "frames" => bodies::frames,
        "head" => heads::head,
        "introspection" => services::introspection,
        "json" => bodies::json,
        "jwk_set" => jwts::jwk_set,
        "jws" => jwts::jws,
        "lease" => services::lease,
        "limit" => services::limit,
        "list" => bodies::list,
        "log" => logs::log,
        "objects" => services::objects,
        "policy" => policies::policy,
        "record" => services::record,
        "request" => bodies::request,
        "shared" => services::shared,
        _ => return None,
    })
}
