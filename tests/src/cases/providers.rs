//! The suites of the table of providers (`tests/providers.yaml`): one for each mode of the gateway, one for a custom
//! domain, and one without a gateway.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const TOKEN: &str = "ptk_every-provider";
const GATEWAY_TOKEN: &str = "real-cf-aig";
/// The headers of a WebSocket handshake that the upstream requires.
pub(super) const HANDSHAKE: [(&str, &str); 2] =
    [("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) provider: String,
    key: String,
    #[serde(default)]
    billed: bool,
    #[serde(default)]
    always: bool,
    path: Option<String>,
    url: Option<String>,
    http: Vec<Hop>,
    #[serde(default)]
    websocket: Vec<Hop>,
    query_key: Option<(String, String)>,
    /// The dialect of the provider's errors, if it is not OpenAI's.
    dialect: Option<String>,
}

/// The targets of a request: the client's, the gateway's, the provider's.
#[derive(Deserialize)]
struct Hop(String, String, #[serde(default)] Option<String>);

/// A route to the providers, with its credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    ProviderKey,
    Byok,
    UnifiedBilling,
    CustomDomain,
    Direct,
}

const MODES: [(&str, Mode); 5] = [
    ("provider_key", Mode::ProviderKey),
    ("byok", Mode::Byok),
    ("unified_billing", Mode::UnifiedBilling),
    ("custom domain", Mode::CustomDomain),
    ("direct", Mode::Direct),
];

/// The expected request at the upstream.
struct Forwarded {
    authority: String,
    target: String,
    headers: BTreeMap<String, String>,
}

/// Returns a suite's document and place for each mode.
pub(super) fn suites() -> Result<Vec<(String, Value)>> {
    let rows = rows()?;
    let suite = |(name, mode): (&str, Mode)| (format!("providers.yaml, {name}"), mode.suite(&rows));
    Ok(MODES.into_iter().map(suite).collect())
}

/// Reads the rows of the table.
pub(super) fn rows() -> Result<Vec<Row>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers.yaml");
    let text = fs::read_to_string(&file)?;
    let table: Table =
        serde_saphyr::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    Ok(table.rows)
}

impl Mode {
    fn suite(self, rows: &[Row]) -> Value {
        let rows: Vec<&Row> = rows.iter().filter(|row| self.has(row)).collect();
        let keyed = || rows.iter().filter(|row| self.sends_key(row));
        let mut credentials: Map<String, Value> =
            keyed().map(|row| (row.provider.clone(), json!([{"env": row.variable()}]))).collect();
        let mut env: BTreeMap<String, String> = keyed().map(|row| (row.variable(), row.secret())).collect();
        let providers: Vec<&str> = rows.iter().map(|row| row.provider.as_str()).collect();
        let entries: Map<String, Value> = rows.iter().filter_map(|row| self.entry(row)).collect();
        let mut policy = json!({
            "version": "keyswap/v1",
            "tokens": [{"sha256": format!("{{{{sha256:{TOKEN}}}}}"), "label": "all", "providers": providers}],
            "providers": entries,
        });
        if let Some(gateway) = self.gateway() {
            credentials.insert("cf_aig".to_owned(), json!([{"env": "CF_AIG_TOKEN"}]));
            env.insert("CF_AIG_TOKEN".to_owned(), GATEWAY_TOKEN.to_owned());
            policy["gateway"] = json!({"cloudflare": gateway});
        }
        policy["credentials"] = credentials.into();
        let cases: Vec<Value> = rows.iter().flat_map(|row| self.cases(row)).collect();
        json!({"about": "Every provider", "env": env, "policy": policy, "cases": cases})
    }

    fn has(self, row: &Row) -> bool {
        match self {
            Self::UnifiedBilling => row.billed,
            Self::Direct => row.http.iter().any(|hop| hop.2.is_some()),
            _ => true,
        }
    }

    fn sends_key(self, row: &Row) -> bool {
        row.always || !matches!(self, Self::Byok | Self::UnifiedBilling)
    }

    fn gateway(self) -> Option<Value> {
        let mut gateway = json!({"credential": "cf_aig", "account": "acc0123", "gateway": "prod"});
        match self {
            Self::ProviderKey => gateway["mode"] = json!("provider_key"),
            Self::Byok => {
                gateway["mode"] = json!("byok");
                gateway["byok_alias"] = json!("team-a");
            }
            Self::UnifiedBilling => {
                gateway["mode"] = json!("unified_billing");
                gateway["no_wholesale"] = json!(true);
            }
            Self::CustomDomain => {
                gateway =
                    json!({"credential": "cf_aig", "mode": "provider_key", "url": "https://llm.example.com"});
            }
            Self::Direct => return None,
        }
        Some(gateway)
    }

    /// Returns the provider's entry in the policy, `None` if it needs none.
    fn entry(self, row: &Row) -> Option<(String, Value)> {
        let entry = match (self, &row.path, &row.url) {
            (Self::Direct, _, url) => json!({"url": url.as_ref()?}),
            (_, path, _) => json!({"path": path.as_ref()?}),
        };
        Some((row.provider.clone(), entry))
    }

    fn cases(self, row: &Row) -> Vec<Value> {
        let http = row.http.iter().filter_map(|hop| self.case(row, hop, false));
        let websocket = row.websocket.iter().filter_map(|hop| self.case(row, hop, true));
        http.chain(websocket).collect()
    }

    fn case(self, row: &Row, hop: &Hop, upgrade: bool) -> Option<Value> {
        let (authority, target) = self.destination(hop)?;
        let mut forwarded =
            Forwarded { authority: authority.to_owned(), target, headers: self.gateway_headers() };
        if self.sends_key(row) {
            self.add_key(&mut forwarded, row, upgrade);
        }
        if upgrade {
            forwarded.headers.extend(HANDSHAKE.map(header));
        }
        let Forwarded { authority, target, headers } = forwarded;
        let mut case = json!({
            "name": format!("{} {}{}", method(upgrade), hop.0, if upgrade { ", an upgrade" } else { "" }),
            "request": request(hop, upgrade),
            "forward": {"method": method(upgrade), "authority": authority, "target": target, "headers": headers},
        });
        if upgrade {
            case["without_upgrades"] =
                json!({"status": 501, "reason": "upgrade_unsupported", "dialect": row.dialect()});
        }
        Some(case)
    }

    /// Returns the authority and the target at the upstream, before a key is added.
    fn destination(self, hop: &Hop) -> Option<(&str, String)> {
        Some(match self {
            Self::Direct => {
                let at = hop.2.as_ref()?.find('/')?;
                let (host, target) = hop.2.as_ref()?.split_at(at);
                (host, target.to_owned())
            }
            Self::CustomDomain => ("llm.example.com", hop.1.clone()),
            _ => ("gateway.ai.cloudflare.com", format!("/v1/acc0123/prod{}", hop.1)),
        })
    }

    /// Returns the headers for the gateway itself.
    fn gateway_headers(self) -> BTreeMap<String, String> {
        let token = format!("Bearer {GATEWAY_TOKEN}");
        let token = (self != Self::Direct).then_some(("cf-aig-authorization", token.as_str()));
        let of_mode = match self {
            Self::Byok => Some(("cf-aig-byok-alias", "team-a")),
            Self::UnifiedBilling => Some(("cf-aig-no-wholesale", "true")),
            _ => None,
        };
        token.into_iter().chain(of_mode).map(header).collect()
    }

    /// Adds the provider's key, in its header or in the query.
    fn add_key(self, forwarded: &mut Forwarded, row: &Row, upgrade: bool) {
        match row.query_key.as_ref().filter(|_| upgrade) {
            Some((gateway, direct)) => {
                let name = if self == Self::Direct { direct } else { gateway };
                let separator = if forwarded.target.contains('?') { '&' } else { '?' };
                let parameter = format!("{separator}{name}={}", row.encoded_secret());
                forwarded.target.push_str(&parameter);
            }
            None => _ = forwarded.headers.insert(row.key_header().to_owned(), row.key_value()),
        }
    }
}

/// Returns the client's request.
fn request(hop: &Hop, upgrade: bool) -> Value {
    let token = format!("Bearer {TOKEN}");
    // A placeholder in the provider's own slot would be used instead of a key that is stored at the gateway.
    let mut headers = vec![header(("authorization", &token)), header(("xi-api-key", "placeholder"))];
    if upgrade {
        headers.extend([("connection", "Upgrade"), ("upgrade", "websocket")].map(header));
        headers.extend(HANDSHAKE.map(header));
    }
    json!({"method": method(upgrade), "target": hop.0, "headers": headers})
}

fn method(upgrade: bool) -> &'static str {
    if upgrade { "GET" } else { "POST" }
}

pub(super) fn header((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl Row {
    fn variable(&self) -> String {
        format!("{}_KEY", self.provider.to_uppercase().replace('-', "_"))
    }

    /// Returns the provider's key, with characters that must be escaped in a query.
    fn secret(&self) -> String {
        format!("real+{}/&=", self.provider)
    }

    fn encoded_secret(&self) -> String {
        format!("real%2B{}%2F%26%3D", self.provider)
    }

    /// Returns the dialect of the provider's errors.
    fn dialect(&self) -> &str {
        self.dialect.as_deref().unwrap_or("openai")
    }

    pub(super) fn key_header(&self) -> &str {
        self.key.split(':').next().unwrap_or_default()
    }

    fn key_value(&self) -> String {
        self.key_value_of(&self.secret())
    }

    /// Returns what the key's header holds for this key.
    pub(super) fn key_value_of(&self, key: &str) -> String {
        let scheme = self.key.split(':').nth(1).unwrap_or_default();
        format!("{scheme} {key}").trim().to_owned()
    }

    /// Returns the segment by which clients name the provider, with its slash.
    pub(super) fn segment(&self) -> String {
        let segment = self.http.first().and_then(|hop| hop.0.split('/').nth(1));
        format!("/{}", segment.unwrap_or_default())
    }

    /// Returns the provider's own host, where one is known.
    pub(super) fn authority(&self) -> Option<&str> {
        self.http.first()?.2.as_ref()?.split('/').next()
    }
}
