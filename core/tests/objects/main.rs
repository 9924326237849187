//! Objects belong to callers: two callers of one account, and the registry that knows the holders.

mod bodies;
mod claims;
mod holders;
mod kinds;
mod lists;
mod plane;
mod registry;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;
