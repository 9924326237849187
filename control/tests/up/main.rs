//! `keyswap up` with a policy, as a process: what it starts, changes and ends.

mod changes;
mod dashboard;
mod endings;
mod finding;
mod hosts;
mod secrets;
mod support;
mod tls;
