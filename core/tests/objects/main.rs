//! Objects belong to callers: two callers of one account, and the registry that knows the holders.

mod bodies;
mod claims;
mod files;
mod histories;
mod holders;
mod items;
mod kinds;
mod links;
mod lists;
mod members;
mod plane;
mod registry;
mod signed;
mod slices;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod uploads;
#[path = "../support/wire.rs"]
mod wire;
