//! `keyswap policy lint`: what holds in a policy, or in what hands it to Envoy, and is still worth a second look.
mod envoy;
mod plugin;
mod subcommand;
mod warning;

pub(super) use subcommand::LintPolicy;
