//! The endpoints of every built-in provider (`tests/endpoints.yaml`), expanded into suites of cases: straight to the providers,
//! and through the gateways that have endpoints of their own.
//!
//! Each endpoint is asked for with a token that has the bare provider in its scope. A path of a class that can be opened is also
//! asked for with a token that has this class alone, and one path of any other with a token that has all that can be opened.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::providers::{HANDSHAKE, Row, header, rows};

/// The classes that a scope can open one by one, each with a token of its own.
pub(super) const OPENED: [&str; 4] = ["files", "batches", "fine_tuning", "stateful"];
const KEY: &str = "real-key";
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) apis: Vec<Api>,
}

/// An API: a provider, and where it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    pub(super) provider: String,
    url: Option<String>,
    #[serde(default)]
    base: String,
    /// The rows of `mint` whose answer is brokered.
    #[serde(default)]
    brokered: Vec<String>,
    pub(super) classes: BTreeMap<String, Vec<String>>,
}

/// The place of an API, as far as it matters to what its upstream sees.
pub(super) struct Place {
    slug: String,
    authority: String,
    base: String,
    headers: BTreeMap<String, String>,
}

/// The gateway that a provider is an endpoint of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gateway {
    None,
    Cloudflare,
    Vercel,
}

/// A request for an endpoint.
pub(super) struct Endpoint<'t> {
    api: &'t Api,
    method: &'t str,
    path: String,
}

pub(super) fn table() -> Result<Table> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("endpoints.yaml");
    serde_saphyr::from_str(&fs::read_to_string(&file)?).with_context(|| format!("reading {}", file.display()))
}

/// Returns the document of a suite in which everything that can be opened is open, and the policy has a broker: what mints is
/// forwarded where it is brokered.
pub(super) fn minting_suite() -> Result<Value> {
    let (table, rows) = (table()?, rows()?);
    let apis: Vec<&Api> = table.apis.iter().filter(|api| !api.brokered.is_empty()).collect();
    let mut suite = suite(&apis, &rows)?;
    let scope = apis.iter().flat_map(|api| ["*", "mint"].map(|class| format!("{}:{class}", api.provider)));
    suite["policy"]["broker"] = json!({"key": {"env": "BROKER_KEY"}});
    suite["policy"]["tokens"] = json!([{
        "sha256": format!("{{{{sha256:{}}}}}", token("mint")), "label": "mint", "providers": scope.collect::<Vec<_>>(),
    }]);
    suite["env"]["BROKER_KEY"] = "5a".repeat(32).into();
    let mut cases = Vec::new();
    for api in apis {
        let place = Place::of(api, &rows)?;
        let closed = ["mint", "admin", "closed"].into_iter().filter_map(|class| api.classes.get(class));
        for row in closed.flatten() {
            for endpoint in api.endpoints(row)? {
                cases.push(if api.brokered.contains(row) {
                    endpoint.brokered(&place)
                } else {
                    endpoint.refuse("mint", "endpoint_not_allowed", &place)
                });
            }
        }
    }
    suite["cases"] = cases.into();
    Ok(suite)
}

/// Returns the document of each suite, with its place.
pub(super) fn suites() -> Result<Vec<(String, Value)>> {
    let table = table()?;
    let rows = rows()?;
    let suites = group(&table.apis).into_iter().map(|(name, apis)| {
        Ok((format!("endpoints.yaml, {name}"), suite(&apis, &rows).with_context(|| name.clone())?))
    });
    suites.collect()
}

/// Returns the APIs that one policy can have: a provider stands in it once, and so does a gateway.
fn group(apis: &[Api]) -> Vec<(String, Vec<&Api>)> {
    let mut groups: Vec<(String, Vec<&Api>)> = Vec::new();
    for api in apis {
        let fits = |(_, others): &&mut (String, Vec<&Api>)| {
            let is_other = |other: &&Api| {
                other.provider != api.provider && gateway(&other.provider) == gateway(&api.provider)
            };
            others.iter().all(is_other)
        };
        match groups.iter_mut().find(fits) {
            Some((_, others)) => others.push(api),
            None => groups.push((format!("with {}", api.provider), vec![api])),
        }
    }
    groups
}

fn gateway(provider: &str) -> Gateway {
    match provider {
        "compat" | "universal" | "cloudflare-rest" => Gateway::Cloudflare,
        "vercel" => Gateway::Vercel,
        _ => Gateway::None,
    }
}

pub(super) fn suite(apis: &[&Api], rows: &[Row]) -> Result<Value> {
    let names: Vec<&str> = apis.iter().map(|api| api.provider.as_str()).collect();
    let scope = |class: &str| names.iter().map(|name| format!("{name}{class}")).collect::<Vec<_>>();
    let token = |name: &str, class: &str| json!({"sha256": format!("{{{{sha256:{}}}}}", token(name)), "label": name, "providers": scope(class)});
    let mut tokens = vec![token("bare", ""), token("all", ":*")];
    tokens.extend(OPENED.map(|class| token(class, &format!(":{class}"))));

    let mut policy = json!({"version": "keyswap/v1", "objects": "shared", "tokens": tokens});
    let of_gateway = apis.first().map_or(Gateway::None, |api| gateway(&api.provider));
    let mut credentials = Map::new();
    for api in apis.iter().filter(|_| of_gateway == Gateway::None) {
        credentials.insert(api.provider.clone(), json!([{"env": "KEY"}]));
    }
    match of_gateway {
        Gateway::None => {}
        Gateway::Cloudflare => {
            policy["gateway"] = json!({"cloudflare": {
                "account": "acc0123", "gateway": "prod", "credential": "gateway", "mode": "unified_billing",
                "universal_endpoint": true,
            }});
            policy["providers"] = json!({"cloudflare-rest": {}});
        }
        Gateway::Vercel => policy["gateway"] = json!({"vercel": {"credential": "gateway"}}),
    }
    if of_gateway != Gateway::None {
        credentials.insert("gateway".to_owned(), json!([{"env": "KEY"}]));
    }
    policy["credentials"] = credentials.into();
    for api in apis {
        if let Some(url) = &api.url {
            policy["providers"][&api.provider] = json!({"url": url});
        }
    }
    let mut cases = Vec::new();
    for api in apis {
        let place = Place::of(api, rows)?;
        for (class, endpoints) in &api.classes {
            for endpoint in endpoints {
                for (index, endpoint) in api.endpoints(endpoint)?.iter().enumerate() {
                    cases.push(endpoint.asked_barely(class, &place));
                    cases.extend(endpoint.asked_with_more(class, &place).filter(|_| index == 0));
                }
            }
        }
    }
    Ok(json!({"about": "Every endpoint", "env": {"KEY": KEY}, "policy": policy, "cases": cases}))
}

/// Returns a path that a row has.
fn sample(row: &str) -> String {
    row.replace("{...}", "a/b").replace("{}", "a1")
}

fn token(name: &str) -> String {
    format!("ptk_{name}-endpoints")
}

impl Api {
    /// Returns the endpoint of each method of a row.
    pub(super) fn endpoints<'t>(&'t self, row: &'t str) -> Result<Vec<Endpoint<'t>>> {
        let (methods, path) = row.split_once(' ').with_context(|| format!("`{row}` has no path"))?;
        let path = sample(path);
        Ok(methods.split(',').map(|method| Endpoint { api: self, method, path: path.clone() }).collect())
    }
}

impl Place {
    pub(super) fn of(api: &Api, rows: &[Row]) -> Result<Self> {
        let bearer = [header(("authorization", &format!("Bearer {KEY}")))];
        let gateway_token = header(("cf-aig-authorization", &format!("Bearer {KEY}")));
        let place = |slug: &str, authority: &str, base: &str, headers: &[(String, String)]| Self {
            slug: slug.to_owned(),
            authority: authority.to_owned(),
            base: base.to_owned(),
            headers: headers.iter().cloned().collect(),
        };
        let account = "/client/v4/accounts/acc0123/ai";
        Ok(match api.provider.as_str() {
            "compat" => {
                place("/compat", "gateway.ai.cloudflare.com", "/v1/acc0123/prod/compat", &[gateway_token])
            }
            "universal" => place("", "gateway.ai.cloudflare.com", "/v1/acc0123/prod", &[gateway_token]),
            "cloudflare-rest" => {
                let [bearer] = bearer;
                let name = header(("cf-aig-gateway-id", "prod"));
                place("/cloudflare-rest", "api.cloudflare.com", account, &[bearer, name])
            }
            "vercel" => place("/vercel", "ai-gateway.vercel.sh", "", &bearer),
            name => {
                let row = rows.iter().find(|row| row.provider == name).context("the provider has no row")?;
                let authority = match &api.url {
                    Some(url) => url.split('/').nth(2),
                    None => row.authority(),
                };
                let key = (row.key_header().to_owned(), row.key_value_of(KEY));
                place(&row.segment(), authority.context("no host is known")?, &api.base, &[key])
            }
        })
    }
}

impl Endpoint<'_> {
    /// Returns the case of a token with the bare provider.
    fn asked_barely(&self, class: &str, place: &Place) -> Value {
        match class {
            "inference" | "models" => self.forward("bare", place),
            class if OPENED.contains(&class) => self.refuse("bare", "endpoint_class_not_allowed", place),
            _ => self.refuse("bare", "endpoint_not_allowed", place),
        }
    }

    /// Returns the case of a token whose scope has the class, or all that it can have.
    fn asked_with_more(&self, class: &str, place: &Place) -> Option<Value> {
        match class {
            "inference" | "models" => None,
            // The stand-in's answer to an upload names its own address, which differs from host to host.
            class if OPENED.contains(&class) => {
                (!self.path.starts_with("/upload/")).then(|| self.forward(class, place))
            }
            class => {
                let first = self.api.classes.get(class).and_then(|rows| rows.first());
                let is_first = first.is_some_and(|row| sample(row).ends_with(&format!(" {}", self.path)));
                is_first.then(|| self.refuse("all", "endpoint_not_allowed", place))
            }
        }
    }

    fn forward(&self, token: &str, place: &Place) -> Value {
        let mut case = self.case(token, place);
        case["forward"] = self.forwarded(place);
        if self.is_upgrade() {
            case["without_upgrades"] =
                json!({"status": 501, "reason": "upgrade_unsupported", "dialect": self.dialect()});
        }
        case
    }

    /// Returns the case of an endpoint whose answer is brokered, with a token that may mint.
    fn brokered(&self, place: &Place) -> Value {
        let mut case = self.case("mint", place);
        case["forward"] = self.forwarded(place);
        case["forward"]["headers"]["accept-encoding"] = "identity".into();
        case
    }

    pub(super) fn refuse(&self, token: &str, reason: &str, place: &Place) -> Value {
        let mut case = self.case(token, place);
        case["reply"] = json!({"status": 403, "reason": reason, "dialect": self.dialect()});
        case
    }

    fn case(&self, by: &str, place: &Place) -> Value {
        let bearer = format!("Bearer {}", token(by));
        let mut headers = vec![header(("authorization", &bearer))];
        if self.is_upgrade() {
            headers.extend([("connection", "Upgrade"), ("upgrade", "websocket")].map(header));
            headers.extend(HANDSHAKE.map(header));
        }
        let path =
            if self.is_versioned_url() { self.path.replacen("/openai/v1", "", 1) } else { self.path.clone() };
        json!({
            "name": format!("{} {} of {}, {by}", self.method, self.path, self.api.provider),
            "request": {
                "method": self.http_method(),
                "target": format!("{}{path}", place.slug),
                "headers": headers,
            },
        })
    }

    fn forwarded(&self, place: &Place) -> Value {
        let mut headers = place.headers.clone();
        if self.is_upgrade() {
            headers.extend(HANDSHAKE.map(header));
        }
        if self.is_in_openai_form() {
            headers = BTreeMap::from([header(("authorization", &format!("Bearer {KEY}")))]);
        }
        let target = match format!("{}{}", place.base, self.path) {
            target if place.slug.is_empty() => target.trim_end_matches('/').to_owned(),
            target => target,
        };
        json!({
            "method": self.http_method(), "authority": place.authority, "target": target, "headers": headers,
        })
    }

    fn is_upgrade(&self) -> bool {
        self.method == "WS"
    }

    fn http_method(&self) -> &str {
        if self.is_upgrade() { "GET" } else { self.method }
    }

    /// Returns whether the provider's address ends in the version that its paths begin with.
    fn is_versioned_url(&self) -> bool {
        self.api.url.as_ref().is_some_and(|url| url.ends_with("/openai/v1"))
    }

    /// Returns whether the endpoint is of the form that Gemini has for OpenAI's SDKs.
    fn is_in_openai_form(&self) -> bool {
        self.api.provider == "gemini" && self.path.starts_with("/v1beta/openai")
    }

    /// Returns the dialect of the error bodies that its callers understand.
    fn dialect(&self) -> &'static str {
        let is_of_gateway = gateway(&self.api.provider) != Gateway::None;
        match self.api.provider.as_str() {
            "anthropic" => "anthropic",
            _ if is_of_gateway && self.path.starts_with("/v1/messages") => "anthropic",
            "gemini" if self.is_in_openai_form() => "openai",
            "gemini" | "google-vertex-ai" => "google",
            _ => "openai",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_provider_and_well_over_a_hundred_endpoints_that_mint_or_administer_are_in_the_table() {
        let suites = suites().unwrap();
        let mut refused = BTreeSet::new();
        let mut providers = BTreeSet::new();
        for (_, suite) in &suites {
            let scope = suite["policy"]["tokens"][0]["providers"].as_array().unwrap();
            providers.extend(scope.iter().filter_map(Value::as_str));
            for case in suite["cases"].as_array().unwrap() {
                if case["reply"]["reason"] == "endpoint_not_allowed" {
                    refused.insert(format!("{} {}", case["request"]["method"], case["request"]["target"]));
                }
            }
        }
        assert_eq!(providers.len(), 26);
        assert!(refused.len() > 600, "{}", refused.len());
    }
}
