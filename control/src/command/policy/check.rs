//! `keyswap policy check`: all that is wrong with a policy, before a data plane says so.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use keyswap_core::jwt::{Issuer, PureRust};
use keyswap_core::{Capabilities, Engine, Environment, Policy, PolicyErrors, Services};
use serde_json::{Value, json};

use crate::exit::{self, Exit};
use crate::output::{self, Format};
use crate::policy_file::PolicyFile;

/// Check a policy and print all of its errors
///
/// They are the ones that a data plane would log when it refuses the policy, one a line, on standard output. The
/// secrets that a policy names are not needed, unless `--with-env` asks for them.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy check policy.yaml\n  keyswap policy check --format json - < policy.json"
))]
pub(crate) struct Check {
    /// The policy, in YAML or JSON; `-` is standard input
    ///
    /// The extension tells which (`.json`, `.yaml`, `.yml`); without one, a text that begins with `{` is JSON.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    /// Check also that the environment has the variables that the policy names, with usable values
    #[arg(long)]
    with_env: bool,
    /// Where the policy is to be used
    #[arg(long, value_enum, default_value_t)]
    host: Host,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The kinds of hosts, which do not offer all the same.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Host {
    /// Envoy with the filter
    #[default]
    Envoy,
    /// The component in Wasmtime, Spin or another host of `wasi:http`
    Component,
}

impl Host {
    fn capabilities(self) -> Capabilities {
        match self {
            Self::Envoy => Capabilities::ENVOY,
            Self::Component => Capabilities::COMPONENT,
        }
    }
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let file = PolicyFile::read(&self.policy)?;
        match self.judge(&file) {
            Ok(policy) => self.report_valid(&file.name, &policy),
            Err(errors) => self.report_invalid(&file.name, &errors),
        }
    }

    fn judge(&self, file: &PolicyFile) -> Result<Policy, PolicyErrors> {
        let policy = file.policy()?;
        let host = self.host.capabilities();
        policy.fits(host)?;
        if self.with_env {
            Engine::new(policy.clone(), &ProcessEnvironment, &Services::new(Box::new(PureRust), host))?;
        }
        Ok(policy)
    }

    fn report_valid(&self, name: &str, policy: &Policy) -> anyhow::Result<Exit> {
        match self.format {
            Format::Human => output::print(&format!("{name}: ok: {}", summary(policy)))?,
            Format::Json => output::print_json(&summary_as_json(policy))?,
        }
        Ok(Exit::Ok)
    }

    fn report_invalid(&self, name: &str, errors: &PolicyErrors) -> anyhow::Result<Exit> {
        match self.format {
            Format::Human => {
                output::print(&super::error_lines(errors))?;
                super::note_count(name, errors);
            }
            Format::Json => super::print_errors_as_json(errors)?,
        }
        Ok(Exit::Invalid)
    }
}

fn summary(policy: &Policy) -> String {
    let tokens = match policy.token_count() {
        0 => "no tokens".to_owned(),
        1 => "1 token".to_owned(),
        count => format!("{count} tokens"),
    };
    let names: Vec<&str> = policy.provider_names().collect();
    let providers = match names.as_slice() {
        [] => "no providers".to_owned(),
        [name] => format!("provider {name}"),
        names => format!("providers {}", names.join(", ")),
    };
    let registry = policy.registry_authority().map(|authority| format!(", others at {authority}"));
    let issuers: Vec<&str> = policy.issuers().iter().map(Issuer::name).collect();
    let issuers = (!issuers.is_empty()).then(|| format!(", identities of {}", issuers.join(", ")));
    let gateway = policy.gateway_authority().map(|authority| format!(", through {authority}"));
    let parts = [registry, issuers, Some(format!(", {providers}")), gateway];
    tokens + &parts.into_iter().flatten().collect::<String>()
}

fn summary_as_json(policy: &Policy) -> Value {
    json!({
        "valid": true,
        "errors": [],
        "tokens": policy.token_count(),
        "registry": policy.registry_authority(),
        "issuers": policy.issuers().iter().map(Issuer::name).collect::<Vec<_>>(),
        "providers": policy.provider_names().collect::<Vec<_>>(),
        "gateway": policy.gateway_authority(),
        "outbound_hosts": policy.outbound_hosts(),
    })
}

/// The environment that the command runs in.
struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
    }
}
