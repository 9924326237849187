//! Answers of services: a registry, an introspection server, an agent, the source of a policy, and other programs that
//! write to shared memory.
//!
//! A second reading of what lets a request pass, by a reader that knows nothing of the engine's.

use keyswap_core::host::{MemoryStore, Store, StoreError, Update};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use super::driver::{Answer, NOW, Plane, REAL, TOKEN, at, carried, sha256};

/// The statuses of answers. A successful one counts most.
const STATUSES: [u16; 8] = [200, 200, 200, 200, 404, 401, 500, 0];

/// Takes an input apart: a byte that chooses the status, and the body.
fn answer(data: &[u8]) -> Option<Answer<'_>> {
    let (choice, body) = data.split_first()?;
    Some((STATUSES[usize::from(*choice) % STATUSES.len()], body))
}

fn with_registry(changes: &Value) -> Value {
    let mut policy = json!({
        "version": "keyswap/v1",
        "registry": {"url": "https://registry.example", "credential": {"env": "REGISTRY"}},
        "credentials": {"openai": [{"env": "OPENAI"}]},
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    policy
}

fn inline(changes: &Value) -> Value {
    let mut policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "OPENAI"}]},
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    policy
}

/// Returns whether a list or a line of names opens the inference of OpenAI.
fn opens_openai(names: Option<&Value>) -> bool {
    let is_it = |name: &str| matches!(name, "openai" | "openai:inference" | "openai:*");
    let names = names.and_then(Value::as_array);
    names.is_some_and(|names| names.iter().filter_map(Value::as_str).any(is_it))
}

/// Asks twice, by two workers that share memory: what is remembered decides like what was told.
fn asked(policy: &Value, answer: Answer<'_>) -> Result<Vec<u8>, u16> {
    let (store, service) = (MemoryStore::default(), |_: &str| answer);
    let [first, second] = [(); 2].map(|()| Plane::new(policy).ask(&store, at(0), &service));
    assert_eq!(first, second, "another worker decides otherwise");
    if let Ok(credential) = &first {
        assert_eq!(credential, format!("Bearer {REAL}OPENAI").as_bytes());
    }
    first
}

/// Reads the record of a token.
pub(super) fn record(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    // Where keys are pinned, nothing counts that they have not signed.
    let mut pinned = with_registry(&Value::Null);
    pinned["registry"]["keys"] = json!({"keys": [super::jwts::KEY.clone()]});
    let plane = Plane::try_new(pinned.to_string().as_bytes(), false).expect("this policy holds");
    assert_eq!(plane.ask(&MemoryStore::default(), at(0), &|_| (status, body)), Err(503));

    if asked(&with_registry(&Value::Null), (status, body)).is_err() {
        return;
    }
    let record: Value = serde_json::from_slice(body).expect("a record is JSON");
    assert_eq!((status, record["sha256"].as_str()), (200, Some(&*sha256(TOKEN))));
    assert!(opens_openai(record.get("providers")));
    assert!(record.get("status").is_none_or(|status| status == "active"));
    assert!(record["certificate_sha256"].is_null(), "this connection has no certificate");
}

/// Reads an answer of token introspection (RFC 7662).
pub(super) fn introspection(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    let mut policy = with_registry(&Value::Null);
    policy["registry"]["introspection"] = json!({"providers": ["openai"]});
    if asked(&policy, (status, body)).is_err() {
        return;
    }
    let answer: Value = serde_json::from_slice(body).expect("an answer is JSON");
    assert_eq!((status, &answer["active"]), (200, &json!(true)));
    assert!(answer["exp"].is_null() || answer["exp"].as_f64().is_some_and(|exp| exp > f64::from(NOW)));
    assert!(answer["nbf"].is_null() || answer["nbf"].as_f64().is_some_and(|nbf| nbf <= f64::from(NOW)));
}

/// Reads a part of the change feed, beside a token that is known and one that is not.
pub(super) fn feed(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    let plane = Plane::new(&with_registry(&Value::Null));
    let sha256 = sha256(TOKEN);
    let known = json!({"sha256": sha256, "label": "l", "providers": ["openai"], "version": 1}).to_string();
    let away: Answer<'_> = (0, b"");
    for is_known in [true, false] {
        let store = MemoryStore::default();
        let token: Answer<'_> =
            if is_known { (200, known.as_bytes()) } else { (404, br#"{"code":"unknown_token"}"#) };
        let before = plane.ask(&store, at(0), &|kind| if kind == "token" { token } else { away });
        plane.work(&store, at(1), &|kind| if kind == "changes" { (status, body) } else { away });
        let after = plane.ask(&store, at(2), &|_| away);
        // The feed ends what is known, and makes nothing known.
        assert!(after == before || after == Err(503), "{before:?}, then {after:?}");
    }
}

/// Reads the registry's count of a request.
pub(super) fn limit(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    let limit = json!({"rate_limit": {"requests": 3, "per": "60s", "store": "registry"}});
    let policy = inline(&with_registry(&limit).as_object().map_or(
        Value::Null,
        |members| json!({"registry": members["registry"], "rate_limit": members["rate_limit"]}),
    ));
    let asked = Plane::new(&policy).ask(&MemoryStore::default(), at(0), &|_| (status, body));
    match asked {
        Ok(_) => {
            let answer: Value = serde_json::from_slice(body).expect("a count is JSON");
            assert_eq!((status, &answer["allowed"]), (200, &json!(true)));
        }
        Err(status) => assert!(matches!(status, 429 | 503), "{status}"),
    }
}

/// Reads the registry's answer to a call for a slice of a budget.
pub(super) fn lease(data: &[u8]) {
    // What the request reserves: a third of its bytes, and the output that it asks for.
    const BODY: &[u8] = br#"{"model":"m","max_tokens":10,"messages":[]}"#;
    const AMOUNT: u64 = 25;
    let Some((status, body)) = answer(data) else { return };
    let registry = with_registry(&Value::Null)["registry"].take();
    let budgets = json!({"token": {"tokens": 1000, "per": "month"}});
    let plane = Plane::new(&inline(&json!({"registry": registry, "budgets": budgets})));
    let sent = plane.send(&MemoryStore::default(), BODY, at(0), &|_| (status, body));
    let Ok(()) = sent else {
        assert!(matches!(sent, Err(429 | 403 | 503)), "{sent:?}");
        return;
    };
    let answer: Value = serde_json::from_slice(body).expect("an answer is JSON");
    let entries = answer["leases"].as_array().expect("an answer has leases");
    let subject = format!("token:{}", sha256(TOKEN));
    let entry = entries.iter().find(|entry| entry["subject"] == *subject).expect("of another subject");
    let is_unlimited = entry["id"].is_null() && entry["unit"].is_null();
    let is_enough = entry["unit"] == "tokens" && entry["granted"].as_u64() >= Some(AMOUNT);
    assert!(status == 200 && (is_unlimited || is_enough), "{entry}");
}

/// Reads the registry's answer on the holder of an object.
pub(super) fn objects(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    let registry = with_registry(&Value::Null)["registry"].take();
    let own = json!([{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai:files"]}]);
    let plane = Plane::new(&inline(&json!({"registry": registry, "tokens": own})));
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/v1/files/file-1", &headers);
    let service = |_: &str| (status, body);
    let asked = plane.judge(&MemoryStore::default(), &head, at(0), &service, carried);
    let Ok(_) = asked else {
        assert!(matches!(asked, Err(404 | 503)), "{asked:?}");
        return;
    };
    let answer: Value = serde_json::from_slice(body).expect("an answer is JSON");
    let told = answer["objects"].as_array().expect("an answer has objects");
    let object = sha256("object\0openai\0file-1");
    let is_own = |entry: &Value| entry["sha256"] == object && entry["principal"] == sha256(TOKEN);
    assert!(status == 200 && told.iter().any(is_own), "of another holder");
}

/// Reads the credential that an agent gives.
pub(super) fn credential(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    let agent = json!({"url": "https://agent.example/token", "value": "/token", "expires_in": "/in"});
    let policy = inline(&json!({"credentials": {"openai": [{"http": agent}]}}));
    let asked = Plane::new(&policy).ask(&MemoryStore::default(), at(0), &|_| (status, body));
    let Ok(credential) = asked else {
        assert_eq!(asked, Err(503));
        return;
    };
    let answer: Value = serde_json::from_slice(body).expect("an answer is JSON");
    let token = answer["token"].as_str().expect("the credential is a text");
    assert_eq!((status, &*credential), (200, format!("Bearer {token}").as_bytes()));
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
}

/// Reads a signed policy. No signature of the fuzzer's holds.
pub(super) fn bundle(data: &[u8]) {
    let Some((status, body)) = answer(data) else { return };
    let configuration = json!({
        "version": "keyswap-bundle/v1", "url": "https://registry.example", "credential": {"env": "REGISTRY"},
        "name": "prod", "keys": {"keys": [super::jwts::KEY.clone()]}, "poll": "5s",
    });
    let document = configuration.to_string();
    let plane = Plane::try_new(document.as_bytes(), false).expect("this configuration holds");
    let store = MemoryStore::default();
    let service = |_: &str| (status, body);
    for second in 0..2 {
        plane.work(&store, at(second * 10), &service);
        assert_eq!(plane.ask(&store, at(second * 10), &service), Err(503));
    }
    // The payload behind the signature, where every signature holds.
    let plane = Plane::try_new(document.as_bytes(), true).expect("this configuration holds");
    plane.work(&store, at(0), &service);
    let _ = plane.ask(&store, at(0), &service);
}

/// Memory in which another program has written the same bytes everywhere.
struct Garbage<'d>(&'d [u8]);

impl Store for Garbage<'_> {
    fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(self.0.to_vec()))
    }

    fn update(&self, _: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        change(Some(self.0)).apply(&mut self.0.to_vec());
        Ok(())
    }
}

/// Reads values of shared memory. They let no token in, and keep none out but by a limit.
pub(super) fn shared(data: &[u8]) {
    let (store, away) = (Garbage(data), |_: &str| (0, &b""[..]));
    assert_eq!(Plane::new(&with_registry(&Value::Null)).ask(&store, at(0), &away), Err(503));
    let limits = [json!({"requests": 3, "per": "60s"}), json!({"tokens": 3000, "per": "60s"})];
    for limit in limits {
        let asked = Plane::new(&inline(&json!({"rate_limit": limit}))).ask(&store, at(0), &away);
        assert!(matches!(asked, Ok(_) | Err(429 | 503)), "{asked:?}");
    }
}
