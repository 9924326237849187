//! `policy schema`: every policy of the repository validates. For mutations of these policies, the schema refuses none
//! that the engine accepts. It accepts only those refused ones whose rule a schema cannot express.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use jsonschema::Validator;
use keyswap_core::policy::{Policy, PolicyErrors};
use keyswap_tests::{cases, tools};
use serde_json::{Value, json};

use crate::support::keyswap;

/// The errors of the engine that the schema may miss, by kind.
const LAXER: [(&str, &[&str]); 11] = [
    (
        "the callers that a value is for, which follows from the texts of a call",
        &["the call is made for one caller", "nothing in the call names the caller"],
    ),
    ("the order of a list", &["no rule behind it is reached"]),
    (
        "what names something else in the document",
        &[
            "the provider has no key",
            "no such provider",
            "no such credential",
            "cannot stand in a call",
            "calls come before this one",
            "no provider may use it",
            "no such group in `model_groups`",
            "nothing uses this credential",
            "no person can be known",
            "no issuer verifies what this header holds",
            "there is no `registry` that keeps limits",
            "there is no `registry` that keeps budgets",
            "`mint` opens endpoints whose answer is brokered",
            "`mint` is for proxy tokens",
            "has no endpoint that mints",
            "`via: gateway` needs a `gateway`",
            "add a `url` in `providers`",
            "the path chooses the host",
            "Cloudflare does not bill",
            "the field `url` is missing: where does its API live?",
            "`url` has no effect while requests go through the gateway",
            "`path` is for requests through the gateway",
            "requests for `",
            "the gateway has the key of this provider",
            "a caller's sign-in at a provider is none at the gateway",
            "a sign-in goes in `authorization`",
            "anyone can have a token of this issuer",
            "the keys of a trust domain have the use `jwt-svid`",
        ],
    ),
    (
        "what must stand once in lists of objects",
        &[
            "the same `sha256` as",
            "this address stands twice",
            "another entry opens it already",
            "it has no classes",
            "another issuer is named",
            "another entry is named",
            "an issuer is named",
            "already belongs to another provider",
            "two keys have the same `kid`",
            "`auth` names a header that stands in `headers`",
            "there is nothing to choose from",
            "another name here is of the same caller",
            "two entries of `above`",
        ],
    ),
    (
        "names that belong to the gateway's endpoints where there is no gateway",
        &["is a segment of the providers' own paths"],
    ),
    (
        "bounds of durations, and rates, which are arithmetic",
        &["expected a duration", "expected 1 to 1000000 requests"],
    ),
    ("amounts of money and factors, which are arithmetic", &["expected US dollars", "expected a factor"]),
    ("dates that no calendar has", &["expected a time with an offset"]),
    ("public keys that are none", &["cannot be used: "]),
    (
        "credentials in places of any text",
        &[
            "this looks like a credential",
            "a parameter here may hold a secret",
            "a member of this name may hold a secret",
        ],
    ),
    ("lengths and ports of addresses", &["expected a port", "expected a host name"]),
];

fn schema() -> Value {
    let run = keyswap(&["policy", "schema"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    run.json()
}

fn validator() -> Validator {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    jsonschema::draft202012::new(&schema).unwrap()
}

fn read(policy: &Value) -> Result<Policy, PolicyErrors> {
    Policy::from_json(policy.to_string().as_bytes())
}

/// Returns every valid policy of the repository, with its place.
fn policies() -> Vec<(String, Value)> {
    let mut policies: Vec<(String, Value)> =
        cases::corpus().unwrap().into_iter().map(|it| (it.place, it.suite.policy.unwrap())).collect();
    for entry in fs::read_dir(tools::project_root().join("envoy")).unwrap() {
        let path = entry.unwrap().path();
        let is_policy = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("policy"));
        if is_policy && path.extension().is_some_and(|it| it == "yaml") {
            let policy: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            // Files of cases lie beside the policies.
            if policy.get("cases").is_none() {
                policies.push((path.display().to_string(), policy));
            }
        }
    }
    policies.push(("whole".to_owned(), whole()));
    policies
}

/// Returns a policy with all fields except those of the corpus's gateways.
fn whole() -> Value {
    json!({
        "version": "keyswap/v1",
        "mode": "shadow",
        "shadow": {"header": true},
        "tokens": [{
            "sha256": "0".repeat(64), "label": "t", "owner": "a@b.c", "team": "x", "providers": ["openai", "keyswap-status"],
            "status": "active", "expires_at": "2027-06-30T00:00:00Z", "rate_limit": {"requests": 5, "tokens": 9000, "per": "60s"},
            "budget": {"tokens": 1000, "per": "week", "timezone": "Europe/Berlin"},
            "models": ["*", "!group:dear", "!o1-pro"], "certificate_sha256": "1".repeat(64),
        }],
        "principals": [
            {"email": "p@b.c", "providers": ["openai"], "label": "P", "team": "x", "rate_limit": {"requests": 5, "per": "60s"},
             "budget": {"usd": "2.50", "per": "day"}, "models": ["group:dear"]},
        ],
        "issuers": [
            {
                "name": "access", "preset": "cloudflare_access", "issuer": "https://acme.cloudflareaccess.com",
                "audiences": ["a"], "algorithms": ["RS256"], "clock_skew": "60s", "claims": {"country": ["NL"], "mfa": [true]},
                "service_tokens": ["s"], "principals": "known", "slots": ["cookie:CF_Authorization", "header:cf-access-x"],
                "providers": ["openai"], "models": ["gpt-5*"], "rate_limit": {"tokens": 9000, "per": "60s"},
                "jwks": {"cluster": "c", "timeout": "5s", "cache_duration": "5m", "stale_if_error": "24h",
                         "refetch_cooldown": "30s", "url": "https://keys.example/jwks?v=1"},
            },
            {
                "name": "vercel", "preset": "vercel_oidc", "issuer": "https://oidc.vercel.com/acme",
                "audiences": ["https://vercel.com/acme"], "claims": {"project_id": ["prj_1"]}, "principals": "any",
                "slots": ["header:x-vercel-oidc-token"],
            },
            {
                "name": "sessions", "preset": "keyswap", "issuer": "https://keyswap.example", "audiences": ["keyswap"],
                "principals": "known",
            },
            {
                "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
                "email_claim": "upn", "unverified_email": "allow", "providers": ["openai"], "max_token_bytes": 16384,
                "team": "x", "label": {"claim": "name"}, "budget": {"tokens": 1000, "per": "day"}, "rules": [
                    {"when": {"/roles/ai": ["a*", true]}, "providers": ["openai"], "models": ["gpt-5*"], "team": {"claim": "team"},
                     "rate_limit": {"tokens": 9000, "per": "60s"}, "label": "one",
                     "budget": {"usd": "2.50", "per": "day"}},
                    {},
                ],
            },
            {
                "name": "directory", "preset": "entra", "tenants": ["aaaabbbb-0000-cccc-1111-dddd2222eeee"], "audiences": ["a"],
                "audience_claim": "aud",
            },
            {
                "name": "mesh", "preset": "oidc", "trust_domain": "example.org", "audiences": ["a"], "principals": "any",
                "jwks": {"url": "https://bundle.example/"},
            },
        ],
        "client_certificates": client_certificates(),
        "model_groups": {"dear": ["gpt-5-pro", "claude-opus-*"]},
        "credentials": credentials(),
        "providers": {
            "openai": {"credentials": {"openai": 3, "second": 1}, "cooldown": "60s", "bindings": {
                "teams": {"x": "second"}, "owners": {"a@b.c": "openai"}, "people": {"p@b.c": "second"},
                "tokens": {"0123456789abcdef": "openai", ("0".repeat(64)): "openai"},
            }},
            "anthropic": {"auth": "bearer"},
            "azure-openai": {"credential": "azure", "path": "/acme", "via": "gateway"},
            "own": {"url": "https://own/v1", "credential": "own", "auth": "header:x-own", "dialect": "anthropic",
                    "native_prefix": "/api", "via": "direct", "slug": "mine"},
            "cloudflare-rest": {"credential": "cf"},
        },
        "gateway": {"cloudflare": {
            "url": "https://gw.example", "account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key",
            "openai": "rest", "universal_endpoint": false, "metadata": {"user": "principal.email"},
            "client_headers": ["backoff"],
        }},
        "registry": {
            "url": "http://r:7070", "plaintext": "trusted_network", "cluster": "r", "credential": {"env": "R"}, "timeout": "500ms",
            "cache": {"positive": "60s", "negative": "10s"},
        },
        "rate_limit": {"requests": 100, "tokens": 100_000, "per": "60s", "failure_mode_allow": false, "store": "registry"},
        "metering": {"ask_usage": false, "when_left": "reserve"},
        "prices": {"openai/gpt-5": {
            "input": 1.25, "output": "10", "cached": 0.125, "cache_write": 1, "cache_write_1h": 2, "reasoning": 10,
            "audio_input": 40, "audio_output": 80, "image_input": 10, "image_output": 40, "max_output": 128_000,
            "above": [{"input_tokens": 272_000, "input": 2.5}], "flex": {"input": 0.5}, "batch": {"input": 0.5},
            "priority": {"input": 2, "above": [{"input_tokens": 272_000, "output": "9"}]},
        }},
        "budgets": {
            "token": {"usd": 10, "per": "month", "timezone": "UTC"}, "owner": {"tokens": 1000, "per": "hour"},
            "team": {"usd": "0.5", "per": "week"}, "unpriced": "allow", "failure_mode_allow": true, "default_output": 100,
        },
        "cors": {"allow_origins": ["https://app.example"]},
        "resource": {"url": "https://llm.example", "sign_in": "https://id.example/start"},
        "status": {"allow": ["loopback", "tokens"]},
        "answers": {"pass": ["limits", "account"]},
        "slots": ["authorization", "query:key"],
    })
}

/// Returns authorities of client certificates with all their fields.
fn client_certificates() -> Value {
    json!([
        {
            "name": "workloads", "trust_domain": "example.org", "team": "x", "label": "w", "rules": [
                {"when": {"sub": ["spiffe://example.org/ns/*"], "namespace": ["agents"], "service_account": ["a*"]},
                 "providers": ["openai"], "models": ["gpt-5*"], "team": {"claim": "namespace"},
                 "label": {"claim": "service_account"}, "rate_limit": {"tokens": 9000, "per": "60s"},
                 "budget": {"usd": 1, "per": "day"}},
                {},
            ],
        },
        {
            "name": "lab", "dns_names": ["*.lab.example", "one.example"], "providers": ["openai"], "models": ["gpt-5*"],
            "rate_limit": {"requests": 5, "per": "60s"}, "budget": {"tokens": 1000, "per": "week"},
        },
    ])
}

/// Returns credentials with all fields of their sources.
fn credentials() -> Value {
    json!({
        "openai": [{"env": "A"}, {"http": {
            "url": "http://agent/credential?for=x", "plaintext": "trusted_network", "cluster": "agent", "headers": {"metadata-flavor": "Google"},
            "credential": {"env": "T"}, "auth": "bearer", "timeout": "2s", "value": "/v", "expires_in": "/e",
            "max_age": "1h", "refresh_before": "10m",
        }}],
        "second": [{"file": "/run/secrets/second"}, {"request_header": "x-vercel-oidc-token"}],
        "own": [{"inject_by": "host"}],
        "cf": [{"env": "D"}],
        "anthropic": [{"sign_in": "sk-ant-oat"}],
        "azure": [
            {"http": {
                "url": "https://sts.example/token", "method": "POST", "subject": "caller", "value": "/access_token",
                "form": {"subject_token": {"caller": "jwt"}, "account": {"claim": "/team/account"}, "client_secret": {"env": "F"}},
                "expect": {"/account": {"claim": "sub"}, "/token_type": "Bearer"}, "expires_in": "/expires_in",
            }},
            {"http": {
                "url": "https://sts.example/token", "method": "PUT", "subject": "data_plane", "value": "/t", "max_age": "1m",
                "json": {"a": [1, true, null, "b", {"env": "G"}], "c": {"d": {}}},
            }},
            {"http": {
                "url": "https://api.example/token", "credential": {"credential": "federated"}, "subject": "caller", "max_age": "1m",
                "form": {"actor_token": {"credential": "federated"}},
            }},
            {"http": {
                "url": "https://sts.example/", "form": {"Token": {"caller": "jwt"}}, "subject": "caller", "expires_at": "/c/e",
                "value": "/c", "bedrock_key": {"region": "us-east-1"},
            }},
            {"http": {"url": "http://169.254.169.254/c", "bedrock_key": {"region": "us-east-1"}, "expires_at": "/Expiration"}},
            {"env": "E"},
        ],
        "federated": [{"http": {
            "url": "https://sts.example/first", "json": [{"caller": "jwt"}, {"credential": "client"}], "subject": "caller", "max_age": "1m",
        }}],
        "client": [{"http": {"url": "https://sts.example/client", "max_age": "1m"}}],
    })
}

#[test]
fn every_policy_of_the_repository_validates() {
    let validator = validator();
    let policies = policies();
    assert!(policies.len() > 15, "only {} policies", policies.len());
    for (place, policy) in policies {
        read(&policy).unwrap_or_else(|errors| panic!("{place}: {errors}"));
        let errors: Vec<String> = validator
            .iter_errors(&policy)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{place}: {errors:#?}");
    }
}

#[test]
fn whatever_is_done_to_a_policy_schema_and_engine_agree_on_it() {
    let validator = validator();
    let (mut seen, mut tried, mut refused) = (BTreeSet::new(), 0, 0);
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    let mut visits = BTreeMap::new();
    for (place, policy) in policies() {
        for (what, mutant) in mutants(&policy, &mut visits) {
            if !seen.insert(mutant.to_string()) {
                continue;
            }
            tried += 1;
            let errors = read(&mutant).err();
            refused += usize::from(errors.is_some());
            match (errors, validator.is_valid(&mutant)) {
                (None, true) | (Some(_), false) => {}
                (None, false) => {
                    let why = validator.iter_errors(&mutant).next().map(|error| error.to_string());
                    faults
                        .push(format!("{place}, {what}: the engine takes it, the schema does not: {why:?}"));
                }
                (Some(errors), true) => {
                    for error in errors.0 {
                        match LAXER
                            .iter()
                            .find(|(_, words)| words.iter().any(|it| error.message.contains(it)))
                        {
                            Some((class, _)) => _ = used.insert(*class),
                            None => faults.push(format!("{place}, {what}: the schema takes it: {error}")),
                        }
                    }
                }
            }
        }
    }
    faults.truncate(40);
    assert!(faults.is_empty(), "{} tried\n{}", tried, faults.join("\n"));
    assert!(tried > 5_000 && refused > tried / 2, "{tried} tried, {refused} refused");
    for (class, _) in LAXER {
        assert!(used.contains(class), "nothing is laxer by `{class}`: remove it");
    }
}

/// Words with which no description begins.
const BEGINNINGS: [&str; 9] = ["What", "Who", "Whom", "Whose", "Whoever", "Whether", "Where", "How", "When"];

#[test]
fn every_field_is_described_for_people() {
    let schema = schema();
    let mut faults = Vec::new();
    check_descriptions("policy", &schema, &mut faults);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        check_descriptions(&format!("$defs.{name}"), definition, &mut faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Checks the description of a schema, then of its properties and items. A schema of items may leave it to its
/// definition.
fn check_descriptions(place: &str, schema: &Value, faults: &mut Vec<String>) {
    match schema["description"].as_str() {
        None => faults.push(format!("{place} has no description")),
        Some(text) => {
            let first = text.split(|char: char| !char.is_alphabetic()).next().unwrap_or_default();
            if BEGINNINGS.contains(&first) || !text.ends_with('.') {
                faults.push(format!("{place}: {text}"));
            }
        }
    }
    // The schema `false` forbids a property.
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if !property.is_boolean() {
            check_descriptions(&format!("{place}.{name}"), property, faults);
        }
    }
    let others = &schema["additionalProperties"];
    if others.is_object() && others.get("$ref").is_none() {
        check_descriptions(&format!("{place}.<name>"), others, faults);
    }
    for (name, property) in schema["items"]["properties"].as_object().into_iter().flatten() {
        if !property.is_boolean() {
            check_descriptions(&format!("{place}[].{name}"), property, faults);
        }
    }
}

/// Returns the mutations of each place of a document. Places of one kind are mutated a few times only.
fn mutants(document: &Value, visits: &mut BTreeMap<String, usize>) -> Vec<(String, Value)> {
    const ENOUGH: usize = 2;
    let mut places = Vec::new();
    walk(document, "", &mut places);
    places.retain(|place| {
        let visit = visits.entry(kind_of(place)).or_default();
        *visit += 1;
        *visit <= ENOUGH
    });
    let mut mutants = Vec::new();
    for pointer in &places {
        for (what, value) in replacements(document.pointer(pointer).unwrap()) {
            let mut mutant = document.clone();
            *mutant.pointer_mut(pointer).unwrap() = value;
            mutants.push((format!("{pointer} {what}"), mutant));
        }
        let Some((parent, name)) = pointer.rsplit_once('/') else { continue };
        let name = name.replace("~1", "/").replace("~0", "~");
        let mut mutant = document.clone();
        match mutant.pointer_mut(parent).unwrap() {
            Value::Object(members) => {
                let value = members.remove(&name).unwrap();
                mutants.push((format!("{pointer} removed"), mutant.clone()));
                for other in [format!("{name}x"), format!("X_{name}"), String::new(), "x".repeat(65)] {
                    let mut renamed = mutant.clone();
                    let members = renamed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                    members.insert(other.clone(), value.clone());
                    mutants.push((format!("{pointer} renamed to `{other}`"), renamed));
                }
            }
            Value::Array(items) => {
                let index: usize = name.parse().unwrap();
                let copy = items[index].clone();
                items.push(copy);
                mutants.push((format!("{pointer} repeated"), mutant.clone()));
                let items = mutant.pointer_mut(parent).unwrap().as_array_mut().unwrap();
                items.pop();
                items.remove(index);
                mutants.push((format!("{pointer} removed"), mutant));
            }
            _ => {}
        }
    }
    mutants
}

/// Returns a place without custom names and without indices.
fn kind_of(pointer: &str) -> String {
    let mut kind = String::new();
    let mut parent = "";
    for segment in pointer.split('/').skip(1) {
        let is_own = matches!(parent, "credentials" | "claims" | "metadata" | "headers");
        let is_number = segment.bytes().all(|byte| byte.is_ascii_digit());
        kind.extend(["/", if is_own || is_number { "*" } else { segment }]);
        parent = segment;
    }
    kind
}

fn walk(value: &Value, pointer: &str, places: &mut Vec<String>) {
    places.push(pointer.to_owned());
    match value {
        Value::Object(members) => {
            for (name, child) in members {
                walk(child, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                walk(child, &format!("{pointer}/{index}"), places);
            }
        }
        _ => {}
    }
}

/// Returns replacements for a value: other types, and strings and numbers at the bounds.
fn replacements(value: &Value) -> Vec<(String, Value)> {
    let types =
        [json!(null), json!(true), json!(7), json!("x"), json!([]), json!({}), json!(["x"]), json!({"x": 1})];
    let mut others: Vec<Value> = types.to_vec();
    match value {
        Value::Number(_) => {
            others.extend([json!(0), json!(-1), json!(1.5), json!(1_000_001), json!(u64::MAX)]);
        }
        Value::String(text) => others.extend(
            [
                String::new(),
                format!("{text} "),
                format!(" {text}"),
                format!("{text}x"),
                format!("x{text}"),
                format!("{text}\n"),
                format!("{text}/"),
                format!("{text}#a"),
                format!("{text}?a=b"),
                format!("{text}/../a"),
                format!("{text}//a"),
                format!("{text}%2f"),
                text.to_uppercase(),
                "x".repeat(70),
                "x".repeat(1100),
                "sk-0123456789abcdef0123".to_owned(),
                "eyJa.eyJb.c".to_owned(),
                "Bearer x".to_owned(),
                "0s".to_owned(),
                "500ms".to_owned(),
                "61m".to_owned(),
                "999999999d".to_owned(),
                "header:x-a".to_owned(),
                "header:authorization".to_owned(),
                "header:X-A".to_owned(),
                "header:cookie".to_owned(),
                "cookie:a b".to_owned(),
                "https://a@b".to_owned(),
                "https://a:0".to_owned(),
                "http://[::1]:80/a".to_owned(),
                "ftp://a".to_owned(),
                "*".to_owned(),
                "/a".to_owned(),
                "/a/~2".to_owned(),
                "2027-02-30T00:00:00Z".to_owned(),
                "2027-02-03".to_owned(),
                "a@b".to_owned(),
                "principal.id".to_owned(),
            ]
            .map(Value::from),
        ),
        _ => {}
    }
    others.retain(|other| other != value);
    others.into_iter().map(|other| (format!("= {:.60}", other.to_string()), other)).collect()
}
