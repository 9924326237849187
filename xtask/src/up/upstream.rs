//! The upstream of requests: the Cloudflare AI Gateway that the environment names, else the stand-in.

use std::{collections::BTreeMap, env};

use anyhow::{Context as _, Result};
use keyswap_tests::{Bootstrap, Standin, UPSTREAM_HOSTS};
use serde_json::{Map, Value, json};

const GATEWAY_VARIABLES: [&str; 3] = ["CF_AIG_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_GATEWAY_ID"];

/// The providers, and the variables that hold their keys.
const PROVIDERS: [(&str, &str); 3] =
    [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY"), ("gemini", "GEMINI_API_KEY")];

/// The upstream behind the host.
pub(super) struct Upstream {
    real: Option<Real>,
    /// The description of the upstream for the user.
    remark: String,
    providers: Vec<&'static str>,
    environment: BTreeMap<&'static str, String>,
}

/// The user's gateway.
struct Real {
    account: String,
    gateway: String,
    mode: &'static str,
}

impl Upstream {
    pub(super) fn chosen() -> Self {
        Self::from_variables(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let values = GATEWAY_VARIABLES.map(&variable);
        match values {
            [Some(token), Some(account), Some(gateway)] => Self::real(token, account, gateway, variable),
            values => Self::standin(remark_without(&values)),
        }
    }

    fn standin(remark: String) -> Self {
        let environment = BTreeMap::from([
            ("OPENAI_API_KEY", "sk-stand-in-openai-key".to_owned()),
            ("ANTHROPIC_API_KEY", "sk-ant-stand-in-anthropic-key".to_owned()),
            ("GEMINI_API_KEY", "stand-in-gemini-key".to_owned()),
            ("CF_AIG_TOKEN", "stand-in-gateway-token".to_owned()),
        ]);
        Self { real: None, remark, providers: PROVIDERS.map(|(provider, _)| provider).to_vec(), environment }
    }

    /// Returns the user's gateway. With provider keys in the environment, only their providers are available; without
    /// any, Cloudflare bills.
    fn real(
        token: String,
        account: String,
        gateway: String,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let keys: Vec<_> = PROVIDERS
            .into_iter()
            .filter_map(|(provider, name)| Some((provider, name, variable(name)?)))
            .collect();
        let (mode, providers): (_, Vec<_>) = if keys.is_empty() {
            ("unified_billing", PROVIDERS.map(|(provider, _)| provider).to_vec())
        } else {
            ("provider_key", keys.iter().map(|(provider, ..)| *provider).collect())
        };
        let mut environment: BTreeMap<_, _> = keys.into_iter().map(|(_, name, key)| (name, key)).collect();
        environment.insert("CF_AIG_TOKEN", token);
        let remark =
            format!("your Cloudflare AI Gateway `{gateway}`, in mode `{mode}`, for {}", providers.join(", "));
        Self { real: Some(Real { account, gateway, mode }), remark, providers, environment }
    }

    pub(super) fn remark(&self) -> &str {
        &self.remark
    }

    pub(super) fn is_real(&self) -> bool {
        self.real.is_some()
    }

    /// Returns the available providers.
    pub(super) fn providers(&self) -> &[&'static str] {
        &self.providers
    }

    /// Returns the environment of the host.
    pub(super) fn environment(&self) -> &BTreeMap<&'static str, String> {
        &self.environment
    }

    /// Returns the title of the step that starts the upstream.
    pub(super) fn step(&self) -> &'static str {
        if self.is_real() { "using the real gateway" } else { "starting the stand-in gateway" }
    }

    pub(super) fn start_standin(&self, port: u16) -> Result<Option<Standin>> {
        if self.is_real() { Ok(None) } else { start_standin(port).map(Some) }
    }

    /// Returns the policy of the shipped bootstrap, with the user's gateway.
    pub(super) fn policy(&self) -> Result<Value> {
        let mut policy = Bootstrap::shipped()?.policy()?;
        let Some(real) = &self.real else { return Ok(policy) };
        let gateway = &mut policy["gateway"]["cloudflare"];
        gateway["account"] = json!(real.account);
        gateway["gateway"] = json!(real.gateway);
        gateway["mode"] = json!(real.mode);
        let keys = PROVIDERS.into_iter().filter(|(_, name)| self.environment.contains_key(name));
        let mut credentials: Map<_, _> =
            keys.map(|(provider, name)| (provider.to_owned(), json!([{"env": name}]))).collect();
        credentials.insert("cf_aig".to_owned(), json!([{"env": "CF_AIG_TOKEN"}]));
        policy["credentials"] = Value::Object(credentials);
        Ok(policy)
    }
}

/// Starts the stand-in. The port may have been taken since it was checked.
fn start_standin(port: u16) -> Result<Standin> {
    Standin::start_with(port, &UPSTREAM_HOSTS)
        .with_context(|| format!("cannot start the stand-in on port {port}"))
}

/// Returns the reason for using the stand-in: some or all variables of the gateway are missing.
fn remark_without(values: &[Option<String>; 3]) -> String {
    let missing = GATEWAY_VARIABLES.iter().zip(values).filter(|(_, value)| value.is_none());
    let missing: Vec<_> = missing.map(|(variable, _)| *variable).collect();
    let list = missing.join(", ");
    if missing.len() == values.len() {
        format!("a stand-in for the Cloudflare AI Gateway (set {list} to use the real one)")
    } else {
        format!("a stand-in for the Cloudflare AI Gateway: the real one needs {list} too")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Upstream {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Upstream::from_variables(|name| variables.get(name).map(ToString::to_string))
    }

    const GATEWAY: [(&str, &str); 3] = [
        ("CF_AIG_TOKEN", "token"),
        ("CLOUDFLARE_ACCOUNT_ID", "account"),
        ("CLOUDFLARE_GATEWAY_ID", "gateway"),
    ];

    #[test]
    fn a_gateway_that_is_half_configured_is_not_used_and_the_user_is_told_why() {
        let upstream = with(&GATEWAY[..2]);
        assert!(!upstream.is_real());
        assert!(upstream.remark().ends_with("needs CLOUDFLARE_GATEWAY_ID too"), "{}", upstream.remark());
    }

    #[test]
    fn the_stand_in_never_gets_a_real_key() {
        let upstream = with(&[("OPENAI_API_KEY", "sk-real")]);
        assert!(upstream.environment().values().all(|value| value.contains("stand-in")));
    }

    #[test]
    fn without_provider_keys_the_gateway_bills() -> Result<()> {
        let upstream = with(&GATEWAY);
        let policy = upstream.policy()?;
        assert_eq!(policy["gateway"]["cloudflare"]["mode"], "unified_billing");
        assert_eq!(policy["gateway"]["cloudflare"]["account"], "account");
        assert_eq!(policy["credentials"], json!({"cf_aig": [{"env": "CF_AIG_TOKEN"}]}));
        assert_eq!(upstream.providers(), ["openai", "anthropic", "gemini"]);
        Ok(())
    }

    #[test]
    fn with_provider_keys_their_providers_are_used() -> Result<()> {
        let upstream = with(&[&GATEWAY[..], &[("ANTHROPIC_API_KEY", "sk-ant")]].concat());
        let policy = upstream.policy()?;
        assert_eq!(policy["gateway"]["cloudflare"]["mode"], "provider_key");
        assert_eq!(policy["credentials"]["anthropic"], json!([{"env": "ANTHROPIC_API_KEY"}]));
        assert!(policy["credentials"].get("openai").is_none());
        assert_eq!(upstream.providers(), ["anthropic"]);
        Ok(())
    }
}
