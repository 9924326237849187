//! `keyswap up`: Keyswap on this machine, whole: a proxy, the registry beside it, and for a first try a stand-in upstream.
//!
//! The command is the only process that is started by hand. It finds the proxy's program, renders its configuration from
//! the policy, serves the registry itself, and ends with the proxy or the registry. No secret is in an argument or a log.

mod host;

mod console;
mod notify;
mod signals;
mod tied;
mod url;
mod variables;

mod folder;

mod artefacts;
mod programs;

mod policy;
mod watch;

mod certificate;

mod log;

mod child;

mod plane;

mod registry;

mod running;

mod options;

mod demo;
mod proxy;

mod start;

pub(super) use options::Up;
pub(super) use tied::Tied;
