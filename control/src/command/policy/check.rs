//! `keyswap policy check`: all errors of a policy, before it reaches a data plane.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use keyswap_cases::Placeholders;
use keyswap_core::host::{Capabilities, Environment, SecretFile, SecretFileError};
use keyswap_core::identity::CertificateAuthority;
use keyswap_core::identity::jwt::{Issuer, JwkError, KeySource, PureRust};
use keyswap_core::policy::{Configuration, Policy, PolicyErrors, RolloutPolicy, preset_fields};
use keyswap_core::worker::Worker;
use serde_json::{Map, Value, json};

use super::judged::judge;
use super::report::{error_lines, note_count, print_errors_as_json};
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};

/// Check a policy and print all of its errors
///
/// Prints one error a line, in the words that a data plane logs when it refuses the policy. Needs none of the secrets
/// that the policy names, unless `--with-env` is given. Accepts rollouts (`keyswap-rollout/v1`) and bundle sources
/// (`keyswap-bundle/v1`) as well.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy check policy.yaml\n  keyswap policy check --format json - < policy.json"
))]
pub(crate) struct Check {
    /// Policy to check, in YAML or JSON; `-` reads standard input
    ///
    /// The extension selects the syntax (`.json`, `.yaml`, `.yml`). Without one, a text that begins with `{` is JSON.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    /// Also check that the environment has a usable value for every variable that the policy names
    ///
    /// Files are not read: they are on the machines of the data planes.
    #[arg(long)]
    with_env: bool,
    /// Host that runs the policy
    #[arg(long, value_enum, default_value_t)]
    host: Host,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The kinds of hosts. Their capabilities differ.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Host {
    /// Envoy with the filter
    #[default]
    Envoy,
    /// Envoy with the dynamic module
    Module,
    /// The component in Wasmtime, Spin or another host of `wasi:http`
    Component,
}

impl Host {
    fn capabilities(self) -> Capabilities {
        match self {
            Self::Envoy => Capabilities::ENVOY,
            Self::Module => Capabilities::MODULE,
            Self::Component => Capabilities::COMPONENT,
        }
    }
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let file = PolicyFile::read(&self.policy)?;
        match self.judge(&file) {
            Ok(configuration) => self.report_valid(&file.name, &configuration),
            Err(errors) => self.report_invalid(&file.name, &errors),
        }
    }

    fn judge(&self, file: &PolicyFile) -> Result<Configuration, PolicyErrors> {
        let json = file.json()?;
        let host = self.host.capabilities();
        let configuration = judge(&json, host)?;
        if self.with_env {
            Worker::start(&json, Box::new(ProcessEnvironment), Box::new(PureRust), host, "")?;
        }
        Ok(configuration)
    }

    fn report_valid(&self, name: &str, configuration: &Configuration) -> anyhow::Result<Exit> {
        match self.format {
            Format::Human => {
                output::print(&format!("{name}: ok: {}", summary(configuration)))?;
                for preset in presets(configuration) {
                    output::note(&format!("{name}: note: {preset}"));
                }
                for key in passed_over(configuration) {
                    output::note(&format!("{name}: note: {key}"));
                }
            }
            Format::Json => output::print_json(&as_json(configuration))?,
        }
        Ok(Exit::Ok)
    }

    fn report_invalid(&self, name: &str, errors: &PolicyErrors) -> anyhow::Result<Exit> {
        match self.format {
            Format::Human => {
                output::print(&error_lines(errors))?;
                note_count(name, errors);
            }
            Format::Json => print_errors_as_json(errors)?,
        }
        Ok(Exit::Invalid)
    }
}

/// Returns the keys of issuers that the policy holds and that are never used, each with its place and the reason.
fn passed_over(configuration: &Configuration) -> Vec<String> {
    let of_issuer = |place: &str, (index, issuer): (usize, &Issuer)| -> Vec<String> {
        let KeySource::Inline(set) = issuer.keys() else { return Vec::new() };
        let at = if place.is_empty() { String::new() } else { format!("{place}.") };
        let line = |(key, fault): &(usize, JwkError)| {
            format!("`{at}issuers[{index}].jwks.inline.keys[{key}]` is passed over: {fault}")
        };
        set.dropped().iter().map(line).collect()
    };
    let of_policy = |(place, policy): (&str, &Policy)| -> Vec<String> {
        policy.issuers().iter().enumerate().flat_map(|issuer| of_issuer(place, issuer)).collect()
    };
    configuration.policies().into_iter().flat_map(of_policy).collect()
}

/// Returns the presets whose fields the policy's issuers have, each once with its fields in place of it.
fn presets(configuration: &Configuration) -> BTreeSet<String> {
    let issuers = configuration.policies().into_iter().flat_map(|(_, policy)| policy.issuers());
    let shown = |issuer: &Issuer| {
        let fields = preset_fields(issuer.preset())?;
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        Some(format!("`preset: {}` is `preset: oidc` with {{{}}}", issuer.preset(), fields.join(", ")))
    };
    issuers.filter_map(shown).collect()
}

fn summary(configuration: &Configuration) -> String {
    match configuration {
        Configuration::Policy(rollout) => summary_of_rollout(rollout),
        Configuration::Bundle(source) => {
            let until = match source.initial() {
                Some(rollout) => format!("; until then {}", summary_of_rollout(rollout)),
                None => "; until then none".to_owned(),
            };
            format!("the policy `{}` of {}{until}", source.name(), source.authority())
        }
    }
}

fn summary_of_rollout(rollout: &RolloutPolicy) -> String {
    let candidate = rollout.candidate.as_ref().map(|candidate| {
        format!("; a candidate for {} %: {}", candidate.percent, summary_of_policy(&candidate.policy))
    });
    summary_of_policy(&rollout.stable) + &candidate.unwrap_or_default()
}

fn summary_of_policy(policy: &Policy) -> String {
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
    let authorities: Vec<&str> =
        policy.client_certificates().iter().map(CertificateAuthority::name).collect();
    let certificates =
        (!authorities.is_empty()).then(|| format!(", client certificates of {}", authorities.join(", ")));
    let gateway = policy.gateway_authority().map(|authority| format!(", through {authority}"));
    let shadow = policy.is_shadow().then(|| ", in shadow mode".to_owned());
    let parts = [registry, issuers, certificates, Some(format!(", {providers}")), gateway, shadow];
    tokens + &parts.into_iter().flatten().collect::<String>()
}

/// Returns the summary as JSON: the members of the stable policy, with `candidate` and `bundle` where present.
fn as_json(configuration: &Configuration) -> Value {
    let members = match configuration {
        Configuration::Policy(rollout) => rollout_as_json(rollout),
        Configuration::Bundle(source) => {
            let mut members = source.initial().map_or_else(Map::new, rollout_as_json);
            let bundle = json!({"name": source.name(), "registry": source.authority()});
            members.insert("bundle".to_owned(), bundle);
            members
        }
    };
    let verdict = [
        ("valid".to_owned(), true.into()),
        ("errors".to_owned(), json!([])),
        ("passed_over".to_owned(), passed_over(configuration).into()),
    ];
    verdict.into_iter().chain(members).collect()
}

fn rollout_as_json(rollout: &RolloutPolicy) -> Map<String, Value> {
    let mut members = policy_as_json(&rollout.stable);
    if let Some(candidate) = &rollout.candidate {
        let mut tried = policy_as_json(&candidate.policy);
        tried.insert("percent".to_owned(), candidate.percent.into());
        members.insert("candidate".to_owned(), tried.into());
    }
    members
}

fn policy_as_json(policy: &Policy) -> Map<String, Value> {
    let presets = policy.issuers().iter().filter_map(|issuer| {
        Some((issuer.preset().to_owned(), Value::Object(preset_fields(issuer.preset())?)))
    });
    let names: [(&str, Value); 9] = [
        ("tokens", policy.token_count().into()),
        ("registry", policy.registry_authority().into()),
        ("issuers", policy.issuers().iter().map(Issuer::name).collect()),
        (
            "client_certificates",
            policy.client_certificates().iter().map(CertificateAuthority::name).collect(),
        ),
        ("presets", Value::Object(presets.collect())),
        ("providers", policy.provider_names().collect()),
        ("gateway", policy.gateway_authority().into()),
        ("shadow", policy.is_shadow().into()),
        ("outbound_hosts", json!(policy.outbound_hosts())),
    ];
    names.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The environment of this process.
struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
    }

    fn file(&self, path: &str) -> Result<SecretFile, SecretFileError> {
        Placeholders.file(path)
    }
}
