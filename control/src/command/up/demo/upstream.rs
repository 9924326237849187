//! The upstream of a first try: the gateway or the providers that the environment names, else the stand-in.

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::text::yaml;

/// The policy of a first try, whose tokens are replaced by those of the registry.
const SHIPPED: &str = include_str!("../../../../../envoy/policy.yaml");

const GATEWAY_VARIABLES: [&str; 3] = ["CF_AIG_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_GATEWAY_ID"];

/// The place of the gateway in the policy.
const GATEWAY: &str = "/gateway/cloudflare";

/// The host of the gateway, for which the stand-in answers.
pub(in crate::command::up) const GATEWAY_HOST: &str = "gateway.ai.cloudflare.com";

/// The providers, and the variables that hold their keys.
const PROVIDERS: [(&str, &str); 3] =
    [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY"), ("gemini", "GEMINI_API_KEY")];

/// The upstream of a first try.
pub(in crate::command::up) struct Upstream {
    kind: Kind,
    /// The description of the upstream for the user.
    remark: String,
    providers: Vec<&'static str>,
    secrets: BTreeMap<&'static str, String>,
}

enum Kind {
    Standin,
    /// The providers themselves.
    Providers,
    /// The user's gateway.
    Gateway {
        account: String,
        gateway: String,
        mode: &'static str,
    },
}

impl Upstream {
    /// Returns the upstream that the environment names, or the stand-in.
    pub(in crate::command::up) fn chosen(is_standin: bool) -> Self {
        if is_standin {
            return Self::standin("a stand-in for the Cloudflare AI Gateway".to_owned());
        }
        Self::of(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let keys =
            || PROVIDERS.into_iter().filter_map(|(id, name)| Some((id, name, variable(name)?))).collect();
        match GATEWAY_VARIABLES.map(&variable) {
            [Some(token), Some(account), Some(gateway)] => Self::gateway(token, account, gateway, keys()),
            [None, None, None] => {
                let keys: Vec<_> = keys();
                if keys.is_empty() {
                    Self::standin(without(&GATEWAY_VARIABLES))
                } else {
                    Self::providers_of(keys)
                }
            }
            values => {
                let missing = GATEWAY_VARIABLES.iter().zip(&values).filter(|(_, value)| value.is_none());
                Self::standin(without(&missing.map(|(name, _)| *name).collect::<Vec<_>>()))
            }
        }
    }

    fn standin(remark: String) -> Self {
        let secrets = BTreeMap::from([
            ("OPENAI_API_KEY", "sk-stand-in-openai-key".to_owned()),
            ("ANTHROPIC_API_KEY", "sk-ant-stand-in-anthropic-key".to_owned()),
            ("GEMINI_API_KEY", "stand-in-gemini-key".to_owned()),
            ("CF_AIG_TOKEN", "stand-in-gateway-token".to_owned()),
        ]);
        Self { kind: Kind::Standin, remark, providers: PROVIDERS.map(|(id, _)| id).to_vec(), secrets }
    }

    fn providers_of(keys: Vec<(&'static str, &'static str, String)>) -> Self {
        let providers: Vec<_> = keys.iter().map(|(id, ..)| *id).collect();
        let remark = format!("{}, with your keys (`--stand-in` needs none)", providers.join(", "));
        let secrets = keys.into_iter().map(|(_, name, key)| (name, key)).collect();
        Self { kind: Kind::Providers, remark, providers, secrets }
    }

    /// Returns the user's gateway. With provider keys in the environment, only their providers are available; without
    /// any, Cloudflare bills.
    fn gateway(
        token: String,
        account: String,
        gateway: String,
        keys: Vec<(&'static str, &'static str, String)>,
    ) -> Self {
        let (mode, providers): (_, Vec<_>) = if keys.is_empty() {
            ("unified_billing", PROVIDERS.map(|(id, _)| id).to_vec())
        } else {
            ("provider_key", keys.iter().map(|(id, ..)| *id).collect())
        };
        let mut secrets: BTreeMap<_, _> = keys.into_iter().map(|(_, name, key)| (name, key)).collect();
        secrets.insert("CF_AIG_TOKEN", token);
        let remark =
            format!("your Cloudflare AI Gateway `{gateway}`, in mode `{mode}`, for {}", providers.join(", "));
        Self { kind: Kind::Gateway { account, gateway, mode }, remark, providers, secrets }
    }

    pub(in crate::command::up) fn remark(&self) -> &str {
        &self.remark
    }

    /// Returns true if the stand-in is the upstream.
    pub(in crate::command::up) fn is_standin(&self) -> bool {
        matches!(self.kind, Kind::Standin)
    }

    /// Returns the available providers.
    pub(in crate::command::up) fn providers(&self) -> &[&'static str] {
        &self.providers
    }

    /// Returns the names and values of the data plane's secrets.
    pub(in crate::command::up) fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.secrets.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Returns the policy, without the registry. With an address the gateway is there, in plain HTTP.
    pub(in crate::command::up) fn policy(&self, plain: Option<SocketAddr>) -> anyhow::Result<Value> {
        let mut policy = self.forwarding()?;
        if let Some(address) = plain {
            set(&mut policy, GATEWAY, "url", json!(format!("http://{address}")))?;
        }
        // Budgets of the registry count, and its dashboard shows the usage of each request.
        set(&mut policy, "", "budgets", json!({"unpriced": "allow"}))?;
        Ok(policy)
    }

    /// Returns the part of the policy that says where requests go.
    fn forwarding(&self) -> anyhow::Result<Value> {
        let mut policy = yaml::parse(SHIPPED.as_bytes()).context("the shipped policy")?;
        let members = policy.as_object_mut().context("the shipped policy has members")?;
        members.remove("tokens");
        if matches!(self.kind, Kind::Standin) {
            return Ok(policy);
        }
        let mut credentials: Map<_, _> = PROVIDERS
            .into_iter()
            .filter(|(_, name)| self.secrets.contains_key(name))
            .map(|(id, name)| (id.to_owned(), json!([{"env": name}])))
            .collect();
        match &self.kind {
            Kind::Gateway { account, gateway, mode } => {
                set(&mut policy, GATEWAY, "account", json!(account))?;
                set(&mut policy, GATEWAY, "gateway", json!(gateway))?;
                set(&mut policy, GATEWAY, "mode", json!(mode))?;
                credentials.insert("cf_aig".to_owned(), json!([{"env": "CF_AIG_TOKEN"}]));
            }
            _ => drop(members.remove("gateway")),
        }
        set(&mut policy, "", "credentials", Value::Object(credentials))?;
        Ok(policy)
    }
}

/// Sets a member of the object at a place, which is a JSON pointer (RFC 6901).
fn set(policy: &mut Value, place: &str, name: &str, value: Value) -> anyhow::Result<()> {
    let members = policy.pointer_mut(place).and_then(Value::as_object_mut);
    members
        .with_context(|| format!("the shipped policy has nothing at `{place}`"))?
        .insert(name.to_owned(), value);
    Ok(())
}

/// Returns the reason for using the stand-in: some or all variables of the gateway are missing.
fn without(missing: &[&str]) -> String {
    let list = missing.join(", ");
    if missing.len() == GATEWAY_VARIABLES.len() {
        format!("a stand-in for the Cloudflare AI Gateway (set {list} to use the real one)")
    } else {
        format!("a stand-in for the Cloudflare AI Gateway: the real one needs {list} too")
    }
}

#[cfg(test)]
mod tests {
    use keyswap_core::policy::Policy;

    use super::*;

    fn with(variables: &[(&str, &str)]) -> Upstream {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Upstream::of(|name| variables.get(name).map(ToString::to_string))
    }

    const VARIABLES: [(&str, &str); 3] = [
        ("CF_AIG_TOKEN", "token"),
        ("CLOUDFLARE_ACCOUNT_ID", "account"),
        ("CLOUDFLARE_GATEWAY_ID", "gateway"),
    ];

    #[test]
    fn a_gateway_that_is_half_configured_is_not_used_and_the_user_is_told_why() {
        for more in [&[][..], &[("OPENAI_API_KEY", "sk-real")]] {
            let upstream = with(&[&VARIABLES[..2], more].concat());
            assert!(upstream.is_standin());
            assert!(upstream.remark().ends_with("needs CLOUDFLARE_GATEWAY_ID too"), "{}", upstream.remark());
            assert!(upstream.secrets().all(|(_, value)| value.contains("stand-in")), "it got a real key");
        }
    }

    #[test]
    fn without_keys_of_any_kind_the_stand_in_is_used() {
        let upstream = with(&[]);
        assert!(upstream.is_standin());
        assert_eq!(upstream.providers(), ["openai", "anthropic", "gemini"]);
        assert!(Upstream::chosen(true).is_standin(), "it is asked for");
    }

    #[test]
    fn without_provider_keys_the_gateway_bills() {
        let upstream = with(&VARIABLES);
        let policy = upstream.policy(None).unwrap();
        assert_eq!(policy["gateway"]["cloudflare"]["mode"], "unified_billing");
        assert_eq!(policy["gateway"]["cloudflare"]["account"], "account");
        assert_eq!(policy["credentials"], json!({"cf_aig": [{"env": "CF_AIG_TOKEN"}]}));
        assert_eq!(upstream.providers(), ["openai", "anthropic", "gemini"]);
    }

    #[test]
    fn with_provider_keys_their_providers_are_used() {
        for (more, mode) in [(&VARIABLES[..], Some("provider_key")), (&[], None)] {
            let upstream = with(&[more, &[("ANTHROPIC_API_KEY", "sk-ant")]].concat());
            let policy = upstream.policy(None).unwrap();
            let found = policy.pointer("/gateway/cloudflare/mode").and_then(Value::as_str);
            assert_eq!(found, mode);
            assert_eq!(policy["credentials"]["anthropic"], json!([{"env": "ANTHROPIC_API_KEY"}]));
            assert!(policy["credentials"].get("openai").is_none());
            assert_eq!(upstream.providers(), ["anthropic"]);
        }
    }

    #[test]
    fn the_gateway_leads_to_the_stand_in() {
        let mut policy = with(&[]).policy(Some(SocketAddr::from(([127, 0, 0, 1], 9)))).unwrap();
        policy.as_object_mut().unwrap().remove("budgets");
        let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap();
        let urls: Vec<String> = policy.upstream_urls().map(|(_, url)| url).collect();
        assert_eq!(urls, ["http://127.0.0.1:9"; 3]);
    }
}
