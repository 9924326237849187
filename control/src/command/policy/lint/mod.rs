//! `keyswap policy lint`: valid but risky settings, in a policy or in the configuration that runs it in Envoy.
mod certificates;
mod envoy;
mod kinds;
mod mesh;
mod plugin;
mod subcommand;
mod warning;

pub(super) use subcommand::LintPolicy;
