//! The configuration of a data plane: the user's policy, with the registry beside it where the policy names none.

use keyswap_core::identity::jwt::PureRust;
use keyswap_core::policy::{Configuration, PolicyError, PolicyErrors};
use keyswap_core::worker::Worker;
use serde_json::{Value, json};

use super::host::Host;
use super::variables::{REGISTRY_TOKEN, Variables};
use crate::command::policy::judge;

/// The version of a document with two policies.
const ROLLOUT: &str = "keyswap-rollout/v1";
/// The version of a document that holds no policy itself: its policy is fetched, and a signature covers all of it.
const BUNDLE: &str = "keyswap-bundle/v1";

/// A configuration that a host of one kind accepts.
pub(super) struct Policy {
    /// The document as the data plane gets it.
    pub(super) document: Value,
    pub(super) configuration: Configuration,
}

impl Policy {
    /// Adds the registry with this address, and judges the document as the host will. All errors are returned, also those
    /// of secrets that are missing.
    pub(super) fn of(
        mut document: Value,
        registry: &str,
        host: Host,
        variables: &Variables,
    ) -> Result<Self, PolicyErrors> {
        add_registry(&mut document, registry);
        let json = document.to_string().into_bytes();
        let configuration = judge(&json, host.capabilities())?;
        let environment = Box::new(variables.clone());
        Worker::start(&json, environment, Box::new(PureRust), host.capabilities(), "")?;
        Ok(Self { document, configuration })
    }

    /// Returns true if a policy asks the registry with this address, or may do so later.
    pub(super) fn asks(&self, registry: &str) -> bool {
        let is_it = |authority: &str| registry.split_once("://").is_some_and(|(_, rest)| rest == authority);
        match &self.configuration {
            Configuration::Bundle(source) => is_it(source.authority()),
            Configuration::Policy(_) => {
                let policies = self.configuration.policies().into_iter();
                policies.filter_map(|(_, policy)| policy.registry_authority()).any(is_it)
            }
        }
    }
}

/// Returns an error that concerns a whole document.
pub(super) fn whole(message: String) -> PolicyErrors {
    PolicyErrors(vec![PolicyError { path: String::new(), message }])
}

/// Adds the section `registry` to each policy that has none.
fn add_registry(document: &mut Value, url: &str) {
    let version = document.get("version").and_then(Value::as_str).unwrap_or_default();
    let places: &[&str] = match version {
        ROLLOUT => &["/stable", "/candidate"],
        BUNDLE => &[],
        _ => &[""],
    };
    for place in places {
        if let Some(policy) = document.pointer_mut(place).and_then(Value::as_object_mut) {
            let registry = json!({
                "url": url, "cluster": "keyswap-registry", "credential": {"env": REGISTRY_TOKEN},
            });
            policy.entry("registry").or_insert(registry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://127.0.0.1:7070";

    fn policy() -> Value {
        json!({"version": "keyswap/v1", "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]}})
    }

    fn read(document: Value) -> Result<Policy, String> {
        let variables = Variables::only([("OPENAI_API_KEY", "sk-real"), (REGISTRY_TOKEN, "krc_of-a-test")]);
        Policy::of(document, HERE, Host::Envoy, &variables)
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn each_policy_that_names_no_registry_gets_the_one_beside_the_proxy() {
        let elsewhere = json!({"url": "https://registry.example", "credential": {"env": REGISTRY_TOKEN}});
        let mut named = policy();
        named["registry"] = elsewhere.clone();
        let rollout = json!({"version": ROLLOUT, "stable": policy(), "candidate": named.clone()});
        for (document, place, is_asked) in
            [(policy(), "", true), (named, "", false), (rollout.clone(), "/stable", true)]
        {
            let read = read(document).unwrap();
            assert_eq!(read.asks(HERE), is_asked, "{place}");
            let url = read.document.pointer(&format!("{place}/registry/url")).unwrap();
            assert_eq!(url, if is_asked { HERE } else { "https://registry.example" });
        }
        assert_eq!(read(rollout).unwrap().document["candidate"]["registry"], elsewhere);
    }

    #[test]
    fn a_policy_that_the_host_would_refuse_is_refused_with_all_errors() {
        let mut unknown = policy();
        unknown["tokkens"] = json!([]);
        assert!(read(unknown).err().unwrap().contains("tokkens"));
        let mut unset = policy();
        unset["credentials"]["groq"] = json!([{"env": "GROQ_API_KEY"}]);
        assert!(read(unset).err().unwrap().contains("GROQ_API_KEY"));
    }
}
