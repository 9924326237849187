//! Tokens that Secrets of Kubernetes declare.

use std::future::Future;
use std::time::Duration;

use keyswap::kubernetes::{Api, Bounds, Source as Secrets, Status as State};
use keyswap::registry::{
    Actor, AuditQuery, Declaration, DeclaredToken, Listing, NewToken, Registry, RegistryError, SecretText,
    Source, Status, Token, TokenPatch,
};
use keyswap_core::base::Digest;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, LABEL, secret};
use crate::server::Server;
use crate::support::{Database, admin, new_token, on_both_databases};
use crate::tls::behind_tls;

on_both_databases!(
    a_secret_declares_its_token_and_its_removal_revokes_it,
    a_token_that_a_person_disabled_stays_disabled,
    one_process_at_a_time_applies_a_source,
);

const BOUNDS: &str = r#"
labels: {keyswap/token: "true"}
namespaces:
  - name: red
    team: red
    providers: [openai, "openai:files", anthropic]
    models: [gpt-5, gpt-5-mini]
    owners: ["*@acme.example"]
    rate_limit: {requests: 60, per: 1m}
  - {name: blue, providers: [openai]}
"#;

/// The bound of a wait that ends by itself.
const HANGS: Duration = Duration::from_mins(1);

struct Following {
    registry: Registry,
    state: State,
    task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows the Secrets of a cluster.
fn follow(cluster: &Cluster, registry: Registry, bounds: &str) -> Following {
    let (api, bounds) =
        (Api::at(&cluster.url(), &cluster.folder()).unwrap(), Bounds::read(bounds.as_bytes()));
    let state = State::default();
    let source = Secrets::new(registry.clone(), api, bounds.unwrap(), state.clone());
    let task = tokio::spawn(async move {
        let error = source.run().await;
        panic!("{error}");
    });
    Following { registry, state, task }
}

/// Waits until a condition holds.
async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANGS, wait).await.unwrap_or_else(|_| panic!("it never held: {what}"));
}

impl Following {
    async fn token(&self, value: &str) -> Option<Token> {
        self.registry.token(&Digest::of(value.as_bytes())).await.ok()
    }

    async fn until(&self, value: &str, holds: impl Fn(&Token) -> bool) -> Token {
        until(value, async || self.token(value).await.is_some_and(|token| holds(&token))).await;
        self.token(value).await.unwrap()
    }

    /// Waits until the Secrets with these names, and no others, have faults.
    async fn until_refused(&self, names: &[&str]) {
        let refused = || -> Vec<String> {
            self.state.namespaces().into_iter().flat_map(|(_, status)| status.refused).collect()
        };
        until(&format!("{names:?}"), async || refused() == names).await;
    }
}

const fn is_active(token: &Token) -> bool {
    matches!(token.status, Status::Active)
}

fn is_disabled(token: &Token) -> bool {
    !is_active(token)
}

async fn a_secret_declares_its_token_and_its_removal_revokes_it(database: &Database) {
    let cluster = Cluster::start().await;
    cluster.put(secret("red", "there-before", "token-there-before", &[]));
    let mut other = secret("red", "without-label", "token-without-label", &[]);
    other["metadata"]["labels"][LABEL] = json!("false");
    cluster.put(other);
    cluster.put(secret("green", "of-another-namespace", "token-of-another-namespace", &[]));
    let red = follow(&cluster, database.open().await, BOUNDS);

    let token = red.until("token-there-before", is_active).await;
    assert_eq!((token.label.as_str(), token.team.as_deref()), ("red/there-before", Some("red")));
    assert_eq!(token.providers, ["openai", "openai:files", "anthropic"]);
    assert_eq!(token.models, ["gpt-5", "gpt-5-mini"]);
    assert_eq!((token.owner, token.last4.as_str()), (None, ""));
    assert_eq!(token.source.as_deref(), Some("kubernetes:red"));

    let all = [
        ("providers", "openai, openai:files"),
        ("models", "gpt-5"),
        ("owner", "alice@acme.example"),
        ("expires-at", "2099-01-01T01:00:00+01:00"),
        ("rate-limit", "5/1m"),
    ];
    cluster.put(secret("red", "new", "token-that-is-new", &all));
    let token = red.until("token-that-is-new", is_active).await;
    assert_eq!((token.providers.len(), token.models.as_slice()), (2, &["gpt-5".to_owned()][..]));
    assert_eq!(token.owner.as_deref(), Some("alice@acme.example"));
    assert_eq!(token.own_expiry.unwrap().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(token.rate_limit.unwrap().to_string(), "5 per 60s");

    cluster.put(secret("red", "new", "token-that-is-new", &[("providers", "anthropic")]));
    red.until("token-that-is-new", |token| token.providers == ["anthropic"] && token.owner.is_none()).await;
    cluster.put(secret("red", "new", "token-of-a-rotation", &[]));
    red.until("token-of-a-rotation", is_active).await;
    red.until("token-that-is-new", is_disabled).await;
    cluster.delete("red", "new");
    red.until("token-of-a-rotation", is_disabled).await;
    cluster.put(secret("red", "new", "token-of-a-rotation", &[]));
    red.until("token-of-a-rotation", is_active).await;
    let mut unlabelled = secret("red", "new", "token-of-a-rotation", &[]);
    unlabelled["metadata"]["labels"][LABEL] = json!("no");
    cluster.put(unlabelled);
    red.until("token-of-a-rotation", is_disabled).await;
    let mut leaving = secret("red", "there-before", "token-there-before", &[]);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-30T00:00:00Z");
    cluster.put(leaving);
    red.until("token-there-before", is_disabled).await;
    for never in ["token-without-label", "token-of-another-namespace"] {
        assert!(red.token(never).await.is_none(), "{never}");
    }
}

async fn a_token_that_a_person_disabled_stays_disabled(database: &Database) {
    let cluster = Cluster::start().await;
    let owner = [("owner", "alice@acme.example")];
    cluster.put(secret("red", "a", "token-of-alice-1", &owner));
    cluster.put(secret("red", "b", "token-of-alice-2", &owner));
    let red = follow(&cluster, database.open().await, BOUNDS);
    let token = red.until("token-of-alice-1", is_active).await;
    red.until("token-of-alice-2", is_active).await;
    let (registry, digest) = (&red.registry, token.digest);
    for patch in [
        TokenPatch { label: Some("mine".to_owned()), ..TokenPatch::default() },
        TokenPatch { providers: Some(vec!["gemini".to_owned()]), ..TokenPatch::default() },
        TokenPatch { status: Some(Status::Disabled), team: Some(None), ..TokenPatch::default() },
    ] {
        let changed = registry.update_token(&digest, patch, &admin()).await;
        assert!(matches!(changed, Err(RegistryError::DeclaredToken)), "{changed:?}");
    }
    let rotated = registry.rotate_token(&digest, Source::Mint, Duration::ZERO, &admin()).await;
    assert!(matches!(rotated, Err(RegistryError::DeclaredToken)), "{rotated:?}");
    assert!(matches!(registry.delete_token(&digest, &admin()).await, Err(RegistryError::DeclaredToken)));

    // By hand, and together with its owner; a Secret that goes and comes back changes nothing of that.
    registry.set_token_status(&digest, Status::Disabled, &admin()).await.unwrap();
    cluster.delete("red", "b");
    red.until("token-of-alice-2", is_disabled).await;
    registry.offboard("alice@acme.example", &admin()).await.unwrap();
    cluster.delete("red", "a");
    cluster.put(secret("red", "a", "token-of-alice-1", &owner));
    cluster.put(secret("red", "b", "token-of-alice-2", &owner));
    cluster.put(secret("red", "last", "token-at-the-end", &[]));
    red.until("token-at-the-end", is_active).await;
    for value in ["token-of-alice-1", "token-of-alice-2"] {
        assert!(red.token(value).await.is_some_and(|token| is_disabled(&token)), "{value}");
    }
    registry.set_token_status(&digest, Status::Active, &admin()).await.unwrap();
}

/// Without the hold nothing is changed, so that an older view does not bring a revoked token back.
async fn one_process_at_a_time_applies_a_source(database: &Database) {
    let (one, other) = (database.open().await, database.open().await);
    let span = Duration::from_hours(1);
    let declared = |value: &str| {
        let new = NewToken { label: "kubernetes".to_owned(), ..new_token("a") };
        DeclaredToken::new("a".to_owned(), SecretText::new(value.to_owned()), Some(new)).unwrap()
    };
    let declare = async |registry: &Registry, holder: &str, values: &[&str]| {
        let tokens = values.iter().map(|value| declared(value)).collect();
        let declaration = Declaration { source: "kubernetes:red", holder, tokens, most: 2 };
        registry.declare(declaration, &|_| true, &Actor::new("kubernetes:red")).await.unwrap()
    };
    assert!(declare(&one, "one", &["token-number-1"]).await.is_none());
    assert!(one.hold_source("kubernetes:red", "one", span).await.unwrap());
    assert!(!other.hold_source("kubernetes:red", "other", span).await.unwrap());
    assert_eq!(declare(&one, "one", &["token-number-1"]).await.unwrap().changed, 1);
    assert!(declare(&other, "other", &["token-number-2"]).await.is_none());
    // A second time changes nothing: no version, no entry in the log.
    let before = one.audit(&AuditQuery::default()).await.unwrap().total;
    let again = declare(&one, "one", &["token-number-1"]).await.unwrap();
    assert_eq!((again.changed, again.withdrawn, again.refused.len()), (0, 0, 0));
    assert_eq!(one.audit(&AuditQuery::default()).await.unwrap().total, before);
    // More than the most: the rest comes with the next time, and nothing is revoked meanwhile.
    let many = ["token-number-1", "token-number-2", "token-number-3", "token-number-4"];
    let first = declare(&one, "one", &many).await.unwrap();
    assert_eq!((first.changed, first.withdrawn, first.is_partial), (2, 0, true));
    let second = declare(&one, "one", &many).await.unwrap();
    assert_eq!((second.changed, second.withdrawn, second.is_partial), (1, 0, false));
    // The time of the holder is over.
    assert!(one.hold_source("kubernetes:red", "one", Duration::ZERO).await.unwrap());
    assert!(other.hold_source("kubernetes:red", "other", span).await.unwrap());
    assert!(declare(&one, "one", &[]).await.is_none());
    assert_eq!(declare(&other, "other", &[]).await.unwrap().withdrawn, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_with_a_fault_declares_nothing_and_is_named_without_its_content() {
    const SENTINEL: &str = "SENTINEL-of-a-secret-0123456789";
    let (database, cluster) = (Database::sqlite(), Cluster::start().await);
    let registry = database.open().await;
    let known = Source::Custom(SecretText::new("token-of-the-registry".to_owned()));
    registry.create_token(known, new_token("by-hand"), &admin()).await.unwrap();
    cluster.put(secret("red", "sound", "token-that-is-sound", &[]));
    let mut names = Vec::new();
    let faults: [(&str, &[(&str, &str)]); 17] = [
        (SENTINEL, &[("providers", "gemini")]),
        (SENTINEL, &[("providers", "openai:*")]),
        (SENTINEL, &[("providers", "openai:mint")]),
        (SENTINEL, &[("providers", "SENTINEL")]),
        (SENTINEL, &[("providers", "sentinel:mint")]),
        (SENTINEL, &[("providers", "")]),
        (SENTINEL, &[("models", "*")]),
        (SENTINEL, &[("owner", "eve@evil.example")]),
        (SENTINEL, &[("owner", "eve@evil.example\n@acme.example")]),
        (SENTINEL, &[("expires-at", "SENTINEL")]),
        (SENTINEL, &[("rate-limit", "61/1m")]),
        (SENTINEL, &[("rate-limit", "1/0s")]),
        (SENTINEL, &[("team", "blue")]),
        (SENTINEL, &[("SENTINEL", "")]),
        ("SENTINEL-with-a-line-break\n", &[]),
        ("SENTINEL-é-and-more", &[]),
        ("token-of-the-registry", &[]),
    ];
    for (place, (value, annotations)) in faults.iter().enumerate() {
        names.push(format!("fault-{place:02}"));
        cluster.put(secret("red", &names[place], value, annotations));
    }
    for (name, data) in
        [("no-base64", json!({"token": "SENTINEL!"})), ("no-key", json!({"other": "U0VOVElORUw="}))]
    {
        let mut broken = secret("red", name, "", &[]);
        broken["data"] = data;
        cluster.put(broken);
        names.push(name.to_owned());
    }
    cluster.put(secret("red", "same", "token-that-is-sound", &[]));
    names.push("same".to_owned());
    let red = follow(&cluster, registry.clone(), BOUNDS);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    red.until_refused(&names).await;
    red.until("token-that-is-sound", |token| is_active(token) && token.label == "red/sound").await;
    let all = registry.tokens(&Listing::default()).await.unwrap();
    assert_eq!(all.total, 2, "{all:?}");
    let by_hand = red.token("token-of-the-registry").await.unwrap();
    assert_eq!((by_hand.label.as_str(), by_hand.source), ("by-hand", None));

    let refused = AuditQuery { action: Some("token.refuse".to_owned()), ..AuditQuery::default() };
    until("the faults are in the audit log", async || {
        registry.count_audit(&refused).await.unwrap() == i64::try_from(names.len()).unwrap()
    })
    .await;
    let log = serde_json::to_string(&registry.audit_entries(&refused, 100).await.unwrap()).unwrap();
    assert!(log.contains("red/fault-00") && !log.to_uppercase().contains("SENTINEL"), "{log}");

    // A sound token keeps its rights when its Secret gets a fault, and another Secret of its value does not take it over.
    cluster.put(secret("red", "sound", "token-that-is-sound", &[("providers", "gemini")]));
    cluster.put(secret("red", "last", "token-at-the-end", &[]));
    red.until("token-at-the-end", is_active).await;
    let kept = red.token("token-that-is-sound").await.unwrap();
    assert_eq!((kept.label.as_str(), kept.providers.len(), is_active(&kept)), ("red/sound", 3, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_beyond_narrower_bounds_and_of_former_namespaces_are_disabled() {
    let (database, cluster) = (Database::sqlite(), Cluster::start().await);
    let registry = database.open().await;
    // As another process left them, whose file had wider bounds.
    for (namespace, value, provider) in [
        ("red", "token-that-is-wide", "anthropic"),
        ("blue", "token-that-is-blue", "openai"),
        ("former", "token-that-was-left", "openai"),
    ] {
        let (source, label) = (format!("kubernetes:{namespace}"), format!("{namespace}/{provider}"));
        let providers = vec![provider.to_owned()];
        let new = Some(NewToken { label, providers, team: Some("red".to_owned()), ..NewToken::default() });
        let token = SecretText::new(value.to_owned());
        let tokens = vec![DeclaredToken::new("a".to_owned(), token, new).unwrap()];
        assert!(registry.hold_source(&source, "before", Duration::from_mins(1)).await.unwrap());
        let declaration = Declaration { source: &source, holder: "before", tokens, most: 9 };
        let applied = registry.declare(declaration, &|_| true, &Actor::new(&source)).await.unwrap();
        assert_eq!(applied.unwrap().changed, 1);
        registry.release_source(&source, "before").await.unwrap();
    }
    // A faulty Secret does not keep what is beyond the bounds of today.
    cluster.put(secret("red", "anthropic", "token-that-is-wide", &[("providers", "anthropic, gemini")]));
    let bounds = "labels: {keyswap/token: \"true\"}\nnamespaces: [{name: red, providers: [openai]}, \
                  {name: blue, providers: [openai]}]";
    let red = follow(&cluster, registry, bounds);
    for value in ["token-that-is-wide", "token-that-is-blue", "token-that-was-left"] {
        red.until(value, is_disabled).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_after_whatever_ends_it() {
    let (database, cluster) = (Database::sqlite(), Cluster::start().await);
    let red = follow(&cluster, database.open().await, BOUNDS);
    cluster.put(secret("red", "a", "token-number-1", &[]));
    red.until("token-number-1", is_active).await;
    // A cut in the middle of an event.
    cluster.cut();
    cluster.put(secret("red", "b", "token-number-2", &[]));
    red.until("token-number-2", is_active).await;
    // Events that are lost for ever: the deletion is found by another list.
    let lists = cluster.asked(&["red", "limit="]).len();
    cluster.compact();
    cluster.cut();
    cluster.put(secret("red", "c", "token-number-3", &[]));
    red.until("token-number-3", is_active).await;
    assert!(cluster.asked(&["red", "limit="]).len() > lists);
    // Events that are none: nothing changes, and the watch begins anew.
    cluster.send(json!({"type": "ADDED", "object": "no Secret"}));
    cluster.send(json!({"type": "NEW", "object": {}}));
    // A credential that has expired: tokens stay, until the file has another.
    cluster.expire_credential("second");
    cluster.cut();
    until("a refusal", async || cluster.asked(&["red"]).contains(&401)).await;
    assert!(red.token("token-number-1").await.is_some_and(|token| is_active(&token)));
    cluster.renew_credential("second");
    cluster.put(secret("red", "d", "token-number-4", &[]));
    cluster.delete("red", "a");
    red.until("token-number-4", is_active).await;
    red.until("token-number-1", is_disabled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_and_huge_secrets_come_in_pages_that_fit() {
    let (database, cluster) = (Database::sqlite(), Cluster::start().await);
    let filler = "x".repeat(1 << 20);
    for place in 0..12 {
        let mut huge = secret("red", &format!("huge-{place}"), &format!("token-huge-{place:02}"), &[]);
        huge["data"]["filler"] = Value::String(filler.clone());
        cluster.put(huge);
    }
    for place in 0..100 {
        cluster.put(secret("red", &format!("small-{place}"), &format!("token-small-{place:02}"), &[]));
    }
    // A value that could be no token is not decoded.
    cluster.put(secret("red", "too-long", &filler, &[]));
    let red = follow(&cluster, database.open().await, BOUNDS);
    red.until("token-small-99", is_active).await;
    red.until("token-huge-11", is_active).await;
    red.until_refused(&["too-long"]).await;
    assert!(cluster.asked(&["red", "limit=", "continue="]).len() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_serves_what_secrets_declare_and_keeps_no_value() {
    const VALUE: &str = "SENTINEL-value-of-a-secret-0123456789";
    let (database, cluster) = (Database::sqlite(), Cluster::start().await);
    cluster.put(secret("red", "ci", VALUE, &[("owner", "alice@acme.example")]));
    cluster.put(secret("red", "faulty", "SENTINEL-faulty-0123456789", &[("owner", "SENTINEL-owner")]));
    let (url, authority) = behind_tls(cluster.address, "localhost", &cluster.folder());
    std::fs::copy(authority, cluster.folder().join("ca.crt")).unwrap();
    let bounds = cluster.folder().join("bounds.yaml");
    std::fs::write(&bounds, BOUNDS).unwrap();
    let arguments = ["--kubernetes-tokens", bounds.to_str().unwrap(), "--kubernetes-api", &url];
    let folder = cluster.folder();
    let arguments = [&arguments[..], &["--kubernetes-credentials", folder.to_str().unwrap()]].concat();
    let server = Server::start_with(&database.url(), &arguments);
    let digest = Digest::of(VALUE.as_bytes()).to_hex();
    let record = async || server.get(&format!("/v1/tokens/{digest}")).send().await.unwrap();
    until("the token is served", async || record().await.status() == 200).await;
    until("the state is told", async || {
        let metrics = server.get("/metrics").send().await.unwrap().text().await.unwrap();
        let has = |line: &str| metrics.lines().any(|one| one == line);
        has("keyswap_registry_secrets{namespace=\"red\"} 1")
            && has("keyswap_registry_secrets_refused{namespace=\"red\"} 1")
            && has("keyswap_registry_secrets_applied_here{namespace=\"red\"} 1")
            && has("keyswap_registry_secrets_unreachable{namespace=\"red\"} 0")
            && has("keyswap_registry_secret_fault{namespace=\"red\",secret=\"faulty\"} 1")
    })
    .await;
    let cookie = server.sign_in().await;
    let ask = |method, path: &str| server.admin(&cookie, method, path);
    let page = ask(Method::GET, &format!("/tokens/{digest}")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("kubernetes:red") && !page.contains("Rotate"), "{page}");
    let change = ask(Method::PATCH, &format!("/api/tokens/{digest}")).json(&json!({"label": "mine"}));
    let refused = change.send().await.unwrap();
    assert_eq!(refused.status(), 409);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "declared_token");
    server.terminate();
    let (_, log) = server.wait();
    let kept = [database.dump(), log.into_bytes()].concat();
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains("red/ci") && kept.contains("faulty"));
    for secret in ["SENTINEL-value", "U0VOVElORUw", "SENTINEL-faulty", "SENTINEL-owner", "Bearer first"] {
        assert!(!kept.contains(secret), "{secret}");
    }
}
