//! The changes between releases that give a policy another meaning, or make it invalid.
//!
//! Each release with such a change has its rows here, beside its lines in `CHANGELOG.md`. A row finds the places in a document
//! that the change concerns. A change that no text of a policy settles has no row.

use serde_json::Value;

use super::release::Release;

/// A change that concerns some policies.
pub(super) struct Change {
    /// The first release that has it.
    pub(super) since: Release,
    /// A stable name.
    pub(super) code: &'static str,
    /// The difference.
    pub(super) difference: &'static str,
    /// The remedy for a policy that was written before.
    pub(super) remedy: &'static str,
    /// Returns the places in a policy that the change concerns.
    pub(super) places: fn(&Value) -> Vec<String>,
}

/// The release of which the first rows tell what changed since then.
pub(super) const FIRST: Release = Release(0, 1, 0);

/// The providers behind which the body or the path names another one.
const OF_MODELS: [&str; 4] = ["compat", "cloudflare-rest", "universal", "vercel"];

/// The changes, the oldest release first.
pub(super) const CHANGES: [Change; 9] = [
    Change {
        since: Release(0, 2, 0),
        code: "scope-classes",
        difference: "the name of a provider opens inference and the list of models; it opened every endpoint",
        remedy: "add the classes that these callers need, such as `openai:files`",
        places: |policy| scopes(policy, |entry| !entry.contains(':') && entry != "keyswap-status"),
    },
    Change {
        since: Release(0, 2, 0),
        code: "scope-of-models",
        difference: "this endpoint opens only the providers that the scope names, too; it opened all",
        remedy: "add the providers of the models, as in `[compat, openai]`",
        places: |policy| {
            scopes(policy, |entry| OF_MODELS.contains(&entry.split(':').next().unwrap_or_default()))
        },
    },
    Change {
        since: Release(0, 2, 0),
        code: "objects",
        difference: "what a provider keeps belongs to the caller that made it; without a registry its endpoints are refused",
        remedy: "write `objects: shared` to go on as before",
        places: |policy| absent(policy, "/objects", policy.get("registry").is_none()),
    },
    Change {
        since: Release(0, 2, 0),
        code: "plaintext",
        difference: "an `http://` address beyond the machine is an error",
        remedy: "use `https://`, or say `plaintext: trusted_network` in this entry",
        places: plaintext,
    },
    Change {
        since: Release(0, 2, 0),
        code: "unverified-email",
        difference: "an email of an `oidc` issuer names a known person only with the claim `email_verified`",
        remedy: "let the issuer send the claim, or write `unverified_email: allow`",
        places: |policy| {
            of_issuers(policy, |issuer| {
                issuer["preset"] == "oidc" && issuer.get("unverified_email").is_none()
            })
        },
    },
    Change {
        since: Release(0, 2, 0),
        code: "people-narrow",
        difference: "with `principals: any`, the record of a person narrows what the person may do, and may disable it",
        remedy: "see that the records of these people hold what they need",
        places: |policy| {
            let has_people = policy.get("principals").is_some() || policy.get("registry").is_some();
            of_issuers(policy, |issuer| has_people && issuer["principals"] == "any")
        },
    },
    Change {
        since: Release(0, 2, 0),
        code: "pages",
        difference: "an identity that a browser sends by itself counts for the pages in `cors` and for one's own; others get 403",
        remedy: "list the pages in `cors.allow_origins`",
        places: |policy| absent(policy, "/cors", policy.get("issuers").is_some()),
    },
    Change {
        since: Release(0, 2, 0),
        code: "cache-headers",
        difference: "clients may set `cache-ttl` and `skip-cache` only where the policy says so",
        remedy: "add them to `client_headers`, if clients set them",
        places: |policy| {
            let has_gateway = policy.pointer("/gateway/cloudflare").is_some();
            let lets = policy.pointer("/gateway/cloudflare/client_headers").is_some();
            absent(policy, "/gateway/cloudflare/client_headers", has_gateway && !lets)
        },
    },
    Change {
        since: Release(0, 2, 0),
        code: "account-headers",
        difference: "headers in which an upstream tells limits or names of the account do not go to callers",
        remedy: "write `answers: {pass: [limits, account]}`, if callers read them",
        places: |policy| absent(policy, "/answers", true),
    },
];

/// Returns a place that is left out in the policy, where it matters.
fn absent(policy: &Value, place: &str, matters: bool) -> Vec<String> {
    let is_absent = matters && policy.pointer(place).is_none();
    is_absent.then(|| place.trim_start_matches('/').replace('/', ".")).into_iter().collect()
}

/// Returns the lists of providers with such an entry.
fn scopes(policy: &Value, concerns: impl Fn(&str) -> bool) -> Vec<String> {
    let has = |record: &Value| {
        record["providers"]
            .as_array()
            .is_some_and(|entries| entries.iter().filter_map(Value::as_str).any(&concerns))
    };
    let of = |name: &str| {
        items(policy, name).filter(|(_, record)| has(record)).map(|(place, _)| place + ".providers").collect()
    };
    ["tokens", "principals", "issuers"].into_iter().flat_map(|name| -> Vec<String> { of(name) }).collect()
}

fn of_issuers(policy: &Value, concerns: impl Fn(&Value) -> bool) -> Vec<String> {
    items(policy, "issuers").filter(|(_, issuer)| concerns(issuer)).map(|(place, _)| place).collect()
}

fn items<'p>(policy: &'p Value, name: &str) -> impl Iterator<Item = (String, &'p Value)> {
    let items = policy.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
    items.map(move |(index, item)| (format!("{name}[{index}]"), item)).collect::<Vec<_>>().into_iter()
}

/// Returns a name of the policy's own, unless it is so long that it may be a credential in the wrong place.
fn shown(name: &str) -> &str {
    // The shortest key of a service that is known has 19 characters.
    if name.len() < 19 { name } else { "…" }
}

/// Returns the entries with a `url` in plain HTTP that do not say `plaintext`. Addresses of the machine need not.
fn plaintext(policy: &Value) -> Vec<String> {
    let is_of_machine = |host: &str| {
        let name = host.split(['/', ':']).next().unwrap_or_default();
        name == "localhost" || name.starts_with("127.") || host.starts_with("[::1]")
    };
    let concerns = |entry: &Value| {
        let url = entry["url"].as_str().and_then(|url| url.strip_prefix("http://"));
        url.is_some_and(|host| !is_of_machine(host)) && entry.get("plaintext").is_none()
    };
    let mut places = Vec::new();
    if policy.get("registry").is_some_and(concerns) {
        places.push("registry.url".to_owned());
    }
    for (place, issuer) in items(policy, "issuers") {
        if issuer.get("jwks").is_some_and(concerns) {
            places.push(format!("{place}.jwks.url"));
        }
    }
    for (name, chain) in policy.get("credentials").and_then(Value::as_object).into_iter().flatten() {
        for (index, source) in chain.as_array().into_iter().flatten().enumerate() {
            if source.get("http").is_some_and(concerns) {
                places.push(format!("credentials.{}[{index}].http.url", shown(name)));
            }
        }
    }
    places
}
