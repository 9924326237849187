//! Roles in the administration: each role on each route, with things of its own and with foreign ones.

use std::sync::atomic::{AtomicU32, Ordering};

use keyswap::registry::{
    Actor, AdminRole, AuditQuery, Budget, KeptObject, NewToken, NewUser, ObjectClaim, ObjectKey, Payer, Per,
    Poll, Reach, Registry, RegistryError, RoleName, Source, Status, Token, TokenPatch, UserPatch, Zone,
};
use keyswap::server::{AdminRoute, admin_routes};
use keyswap_core::base::Digest;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, builder};
use crate::support::{Database, admin, new_token, on_both_databases, run};

on_both_databases!(
    lists_have_what_a_role_may_see_and_no_more,
    a_person_has_no_more_rights_than_its_user,
    an_undo_does_no_more_than_its_author_could_by_hand,
);

const ALICE: &str = "alice@acme.example";
const BOB: &str = "bob@acme.example";
const ISSUER: &str = "http://127.0.0.1:9";
const ROLES: &str = "roles: [{role: self_service}]";

/// The roles: the owner is of the team `red`, the person is Alice, who is in it.
const NAMES: [RoleName; 4] = [RoleName::Admin, RoleName::Auditor, RoleName::TeamOwner, RoleName::SelfService];

/// The rights, in the order of the roles: on all, on own things, none.
const RIGHTS: [(&str, &str); 40] = [
    ("list tokens", "all all own own"),
    ("show a token", "all all own own"),
    ("create a token", "all no own own"),
    ("change a token", "all no own own"),
    ("rotate a token", "all no own own"),
    ("delete a token", "all no own own"),
    ("import tokens", "all no no no"),
    ("list users", "all all own own"),
    ("show a user", "all all own own"),
    ("create a user", "all no own no"),
    ("change a user", "all no own no"),
    ("delete a user", "all no own no"),
    ("show what an owner has", "all all own own"),
    ("disable all of an owner", "all no no no"),
    ("list sessions", "all all own own"),
    ("sign in a device", "own own own own"),
    ("end a session", "all no own own"),
    ("list budgets", "all all own own"),
    ("show a budget", "all all own own"),
    ("set a budget", "all no own no"),
    ("delete a budget", "all no own no"),
    ("read usage", "all all own own"),
    ("list objects", "all all own own"),
    ("show an object", "all all own own"),
    ("adopt objects", "all no no no"),
    ("transfer objects", "all no no no"),
    ("forget an object", "all no no no"),
    ("list policies", "all all no no"),
    ("show a policy", "all all no no"),
    ("publish a policy", "all no no no"),
    ("change the keys of a policy", "all no no no"),
    ("list credentials", "all all no no"),
    ("create a credential", "all no no no"),
    ("revoke a credential", "all no no no"),
    ("list API keys", "all all no no"),
    ("create an API key", "all no no no"),
    ("revoke an API key", "all no no no"),
    ("read the audit log", "all all no no"),
    ("see one's name and role", "all all all all"),
    ("sign out", "all all all all"),
];

/// The forms with which a person changes nothing of its own tokens: only an administrator or a team owner gives rights.
const NOT_BY_A_PERSON: [&str; 4] = [
    "/admin/tokens/{sha256}",
    "/admin/tokens/{sha256}/expiry",
    "/admin/tokens/{sha256}/rate-limit",
    "/admin/tokens/{sha256}/undo",
];

static COUNT: AtomicU32 = AtomicU32::new(0);

fn number() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

fn role(name: RoleName) -> AdminRole {
    let teams = if name == RoleName::TeamOwner { vec!["red".to_owned()] } else { Vec::new() };
    AdminRole::new(name, &teams, (name == RoleName::SelfService).then_some(ALICE)).unwrap()
}

/// A server with a provider that is never asked, and its registry.
struct Setup {
    server: Server,
    registry: Registry,
    client: Client,
    _files: TempDir,
}

impl Setup {
    async fn start(database: &Database) -> Self {
        let files = tempfile::tempdir().unwrap();
        let roles = files.path().join("roles.yaml");
        std::fs::write(&roles, ROLES).unwrap();
        let arguments = [
            "--oidc-issuer",
            ISSUER,
            "--oidc-client-id",
            "keyswap",
            "--oidc-roles",
            roles.to_str().unwrap(),
            "--public-url",
            "http://127.0.0.1:7070",
        ];
        let registry = database.open().await;
        let server = Server::start_with(&database.url(), &arguments);
        let client = builder().redirect(Policy::none()).build().unwrap();
        Self { server, registry, client, _files: files }
    }

    /// Returns the cookie of a new session of a person with a role.
    async fn session(&self, role: &AdminRole) -> String {
        let secret = format!("secret-{}", number());
        let id = Digest::of(secret.as_bytes());
        let name = format!("{}@people.example", role.name().name());
        self.registry.begin_person_session(&id, &name, role, &settings(), 3600).await.unwrap();
        format!("keyswap_session={secret}")
    }

    async fn ask(&self, role: &AdminRole, method: &Method, path: &str, body: &Body) -> (u16, String) {
        let cookie = self.session(role).await;
        let request = self.client.request(method.clone(), format!("{}{path}", self.server.url));
        let answer = body
            .add_to(request.header("cookie", cookie).header("x-keyswap-client", "test"))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn get(&self, role: &AdminRole, path: &str) -> Value {
        let (status, text) = self.ask(role, &Method::GET, &format!("/admin/api{path}"), &Body::None).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Returns the digest of the settings that give roles, as the server computes it.
fn settings() -> Digest {
    let mut text = Vec::new();
    for part in [ISSUER, "keyswap", ROLES] {
        text.extend_from_slice(&part.len().to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Digest::of(&text)
}

/// Things of one team and one person.
struct Things {
    team: &'static str,
    email: &'static str,
    token: Token,
    object: KeptObject,
    /// The id of a session of the person.
    session: String,
    /// A user of the team beside the person.
    user: String,
    /// The newest entries of the audit log about the token and the user: changes that can be undone.
    entries: [i64; 2],
}

impl Things {
    async fn make(registry: &Registry, team: &'static str, email: &'static str) -> Self {
        let user = |email: &str| NewUser {
            email: email.to_owned(),
            team: Some(team.to_owned()),
            providers: vec!["openai".to_owned()],
            ..NewUser::default()
        };
        let (name, budget) =
            (format!("t{}", number()), Budget::of_dollars("5", Per::Day, Zone::default()).unwrap());
        let mut new = new_token(&name);
        (new.owner, new.team) = (Some(email.to_owned()), Some(team.to_owned()));
        let token = registry.create_token(Source::Mint, new, &admin()).await.unwrap().record;
        registry.set_budget(&Payer::Token(token.digest), &budget, &admin()).await.unwrap();
        // The person is there from the first time on.
        let _ = registry.create_user(user(email), &admin()).await;
        let other = format!("{name}@acme.example");
        registry.create_user(user(&other), &admin()).await.unwrap();
        let claim = ObjectClaim {
            key: ObjectKey::new("openai", &name).unwrap(),
            kind: "file".to_owned(),
            principal: token.digest,
            owner: Some(email.to_owned()),
            team: Some(team.to_owned()),
            expires_at: None,
        };
        let object = registry.claim_objects(vec![claim]).await.unwrap().remove(0);
        let label = Some("renamed".to_owned());
        let patch =
            TokenPatch { expires_at: Some(Some("2030-01-01T00:00:00Z".to_owned())), ..TokenPatch::default() };
        let token = registry.update_token(&token.digest, patch, &admin()).await.unwrap();
        registry.update_user(&other, UserPatch { label, ..UserPatch::default() }, &admin()).await.unwrap();
        let newest = async |subject: &str| {
            let query = AuditQuery { subject: Some(subject.to_owned()), ..AuditQuery::default() };
            registry.audit(&query).await.unwrap().items[0].id
        };
        let entries = [newest(&token.digest.to_hex()).await, newest(&other).await];
        let session = session(registry, email).await;
        Self { team, email, token, object, session, user: other, entries }
    }
}

/// Returns the id of an open session of a user. A person has few, so one that is open already is taken.
async fn session(registry: &Registry, email: &str) -> String {
    let status = Some(Status::Active);
    registry.update_user(email, UserPatch { status, ..UserPatch::default() }, &admin()).await.unwrap();
    if let Some(session) = registry.sessions(email).await.unwrap().pop() {
        return session.sid;
    }
    let device = registry.begin_device("laptop", "192.0.2.1").await.unwrap();
    registry.decide_device(&device.user_code, email, true, &Actor::new(email)).await.unwrap();
    match registry.poll_device(&device.device_code).await.unwrap() {
        Poll::Begun(issued) => issued.session.sid,
        _ => panic!("the session has not begun"),
    }
}

enum Body {
    None,
    Json(Value),
    Form(Vec<(&'static str, String)>),
}

impl Body {
    fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Json(value) => request.json(value),
            Self::Form(fields) => request.form(fields),
        }
    }
}

/// The part of a request that names a thing.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    /// An existing thing in the path: a foreign one is unknown.
    Subject,
    /// A new thing in the body: a foreign one is refused.
    New,
    /// None, or one that need not exist.
    Nothing,
}

/// Returns a request for a route, about these things. A route without a row fails the test.
fn request(route: &AdminRoute, things: &Things) -> (Named, String, Body) {
    let (method, path) = (route.method.as_str(), route.path);
    let (named, body) = match method {
        // An address has what is in reach of the role, which may be nothing.
        "GET" if path.contains('{') && !path.contains("/policies/") && !path.contains("/owners/") => {
            (Named::Subject, Body::None)
        }
        "GET" => (Named::Nothing, Body::None),
        _ if path.starts_with("/admin/api/") || path == "/admin/session" => to_api(method, path, things),
        _ => to_page(method, path, things),
    };
    let is_read = method == "GET" && (path.ends_with("{email}") || path.ends_with("/sessions"));
    let filled = path
        .replace("/objects/{sha256}", &format!("/objects/{}", things.object.digest.to_hex()))
        .replace("/tokens/{sha256}", &format!("/tokens/{}", things.token.digest.to_hex()))
        .replace("{sha256}", &"0".repeat(64))
        .replace("{sid}", &things.session)
        .replace("{email}", if is_read { things.email } else { &things.user })
        .replace("{subject}", &format!("token:{}", things.token.digest.to_hex()))
        .replace("{name}", "prod")
        .replace("{revision}", "1");
    let query = match path {
        "/admin/usage/find" => "?subject=team:red",
        "/admin/api/audit/export" => "?format=csv",
        "/admin/offboard" => "?email=bob%40acme.example",
        _ => "",
    };
    (named, format!("{filled}{query}"), body)
}

/// Returns the body for a route of the API that changes something.
fn to_api(method: &str, path: &str, things: &Things) -> (Named, Body) {
    let json = Body::Json;
    let subject = format!("token:{}", things.token.digest.to_hex());
    let (name, email) = (format!("n{}", number()), format!("n{}@acme.example", number()));
    match (method, path) {
        ("POST", "/admin/api/tokens") => {
            let new =
                json!({"label": name, "providers": ["openai"], "team": things.team, "owner": things.email});
            (Named::New, json(new))
        }
        ("POST", "/admin/api/tokens/import") => (Named::Nothing, json(json!({"tokens": []}))),
        ("PATCH", "/admin/api/tokens/{sha256}") => (Named::Subject, json(json!({"status": "disabled"}))),
        ("POST", "/admin/api/tokens/{sha256}/rotate") => (Named::Subject, json(json!({}))),
        (
            "DELETE",
            "/admin/api/tokens/{sha256}" | "/admin/api/users/{email}" | "/admin/api/sessions/{sid}",
        )
        | ("POST", "/admin/api/owners/{email}/offboard") => (Named::Subject, Body::None),
        ("POST", "/admin/api/users") => {
            (Named::New, json(json!({"email": email, "providers": ["openai"], "team": things.team})))
        }
        ("PATCH", "/admin/api/users/{email}") => (Named::Subject, json(json!({"label": name}))),
        ("PUT", "/admin/api/budgets/{subject}") => (Named::Subject, json(json!({"usd": "1", "per": "day"}))),
        ("DELETE", "/admin/api/budgets/{subject}" | "/admin/api/objects/{sha256}") => {
            (Named::Subject, Body::None)
        }
        ("POST", "/admin/api/objects/adopt") => {
            (Named::Nothing, json(json!({"provider": "openai", "ids": [name], "holder": subject})))
        }
        ("POST", "/admin/api/objects/transfer") => {
            (Named::Nothing, json(json!({"from": subject, "to": format!("person:{email}")})))
        }
        ("POST", "/admin/api/objects/{sha256}/transfer") => {
            (Named::Subject, json(json!({"to": format!("person:{email}")})))
        }
        ("POST", "/admin/api/credentials") => {
            (Named::Nothing, json(json!({"name": name, "role": "metrics"})))
        }
        ("POST", "/admin/api/api-keys") => (Named::Nothing, json(json!({"name": name, "role": "auditor"}))),
        ("DELETE", "/admin/api/credentials/{sha256}" | "/admin/api/api-keys/{sha256}" | "/admin/session") => {
            (Named::Nothing, Body::None)
        }
        ("POST", "/admin/api/policies" | "/admin/api/policies/{name}/proposal") => {
            (Named::Nothing, json(json!({"bundle": "x"})))
        }
        ("PUT", "/admin/api/policies/{name}/signers") => (Named::Nothing, json(json!({"request": "x"}))),
        (method, path) => panic!("{method} {path} is not in the matrix"),
    }
}

/// Returns the form for a page that changes something.
fn to_page(method: &str, path: &str, things: &Things) -> (Named, Body) {
    let form = |fields: &[(&'static str, &str)]| {
        Body::Form(fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    };
    let subject = format!("token:{}", things.token.digest.to_hex());
    let (name, email) = (format!("n{}", number()), format!("n{}@acme.example", number()));
    match (method, path) {
        ("POST", "/admin/tokens") => {
            let fields = [
                ("label", name.as_str()),
                ("provider", "openai"),
                ("team", things.team),
                ("owner", things.email),
            ];
            (Named::New, form(&fields))
        }
        ("POST", "/admin/tokens/{sha256}/status" | "/admin/users/{email}/status") => {
            (Named::Subject, form(&[("status", "disabled")]))
        }
        ("POST", "/admin/tokens/{sha256}") => {
            let fields = [("label", name.as_str()), ("provider", "openai"), ("team", things.team)];
            (Named::Subject, form(&fields))
        }
        ("POST", "/admin/tokens/{sha256}/undo") => {
            (Named::Subject, form(&[("entry", &things.entries[0].to_string())]))
        }
        ("POST", "/admin/users/{email}/undo") => {
            (Named::Subject, form(&[("entry", &things.entries[1].to_string())]))
        }
        ("POST", "/admin/offboard") => (Named::Subject, form(&[("email", things.email)])),
        ("POST", "/admin/tokens/{sha256}/expiry" | "/admin/tokens/{sha256}/rate-limit") => {
            (Named::Subject, form(&[("clear", "yes")]))
        }
        ("POST", "/admin/tokens/{sha256}/rotate") => (Named::Subject, form(&[("grace", "1h")])),
        (
            "POST",
            "/admin/tokens/{sha256}/delete"
            | "/admin/tokens/{sha256}/new"
            | "/admin/users/{email}/delete"
            | "/admin/sessions/{sid}/end"
            | "/admin/objects/{sha256}/forget",
        ) => (Named::Subject, form(&[])),
        ("POST", "/admin/users") => {
            (Named::New, form(&[("email", &email), ("provider", "openai"), ("team", things.team)]))
        }
        ("POST", "/admin/users/{email}") => {
            (Named::Subject, form(&[("provider", "openai"), ("team", things.team)]))
        }
        ("POST", "/admin/usage/{subject}/budget") => {
            let fields = [("amount", "1"), ("unit", "usd"), ("per", "day"), ("timezone", "UTC")];
            (Named::Subject, form(&fields))
        }
        ("POST", "/admin/objects") => {
            (Named::Nothing, form(&[("provider", "openai"), ("ids", &name), ("holder", &subject)]))
        }
        ("POST", "/admin/objects/transfer") => {
            (Named::Nothing, form(&[("from", &subject), ("to", &format!("person:{email}")), ("sure", "yes")]))
        }
        ("POST", "/admin/objects/{sha256}/transfer") => {
            (Named::Subject, form(&[("to", &format!("person:{email}"))]))
        }
        ("POST", "/admin/sessions") => (Named::Nothing, form(&[("code", "BCDF-GHJK")])),
        ("POST", "/admin/sessions/device") => {
            (Named::Nothing, form(&[("code", "BCDF-GHJK"), ("decision", "refuse")]))
        }
        ("POST", "/admin/sign-out") => (Named::Nothing, form(&[])),
        (method, path) => panic!("{method} {path} is not in the matrix"),
    }
}

/// Every role on every route: what it may, what it may not, and what it does not see.
#[test]
fn each_role_does_on_each_route_what_the_table_says() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let mut things = [("red", ALICE), ("blue", BOB)].map(|_| None);
            let mut told = Vec::new();
            for route in admin_routes() {
                let rights = RIGHTS.iter().find(|(operation, _)| *operation == route.operation);
                let rights = rights.unwrap_or_else(|| panic!("`{}` is not in the matrix", route.operation)).1;
                for (name, right) in NAMES.into_iter().zip(rights.split(' ')) {
                    for (place, (team, email)) in [("red", ALICE), ("blue", BOB)].into_iter().enumerate() {
                        if things[place].is_none() {
                            things[place] = Some(Things::make(&setup.registry, team, email).await);
                        }
                        let own = things[place].as_ref().unwrap();
                        let is_foreign = place == 1;
                        let (named, path, body) = request(&route, own);
                        let is_given = name == RoleName::SelfService
                            && route.method != Method::GET
                            && NOT_BY_A_PERSON.contains(&route.path);
                        let expect = match (right, named) {
                            ("no", _) => "403",
                            ("own", Named::Subject) if is_foreign => "404",
                            ("own", Named::New) if is_foreign => "403",
                            _ if is_given => "403",
                            (_, Named::Nothing) => "passes",
                            _ => "done",
                        };
                        let (status, text) = setup.ask(&role(name), &route.method, &path, &body).await;
                        let fits = match expect {
                            "passes" => ![401, 403].contains(&status) && status < 500,
                            // The page of a new token says that it cannot be shown any more.
                            "done" => status < 400 || status == 410,
                            code => status.to_string() == code,
                        };
                        if !fits {
                            let (method, path) = (&route.method, route.path);
                            told.push(format!("{method} {path} {name:?} foreign: {is_foreign}: {status}, not {expect}: {text}"));
                        }
                        if status < 400 && route.method != Method::GET {
                            things[place] = None;
                        }
                    }
                }
            }
            assert!(told.is_empty(), "{}", told.join("\n"));
        },
        &Database::sqlite(),
    );
}

async fn lists_have_what_a_role_may_see_and_no_more(database: &Database) {
    let setup = Setup::start(database).await;
    let registry = &setup.registry;
    let red = Things::make(registry, "red", ALICE).await;
    let blue = Things::make(registry, "blue", BOB).await;
    // A token of Alice in another team, and one that only sounds like hers.
    let mut new = new_token("elsewhere");
    (new.owner, new.team) = (Some("Alice@acme.example".to_owned()), Some("blue".to_owned()));
    registry.create_token(Source::Mint, new, &admin()).await.unwrap();
    for (label, team) in [("case", "Red"), ("wild", "r_d"), ("longer", "redder"), ("none", "")] {
        let mut new = new_token(label);
        (new.owner, new.team) = (Some("malice@acme.example".to_owned()), Some(team.to_owned()));
        registry.create_token(Source::Mint, new, &admin()).await.unwrap();
    }
    let (own, foreign) = (red.token.label.as_str(), blue.token.label.as_str());
    let unowned = NewToken { owner: None, ..new_token("unowned") };
    registry.create_token(Source::Mint, unowned, &admin()).await.unwrap();
    let all = vec!["case", "elsewhere", "longer", "none", own, foreign, "unowned", "wild"];
    for (name, tokens) in [
        (RoleName::Admin, all.clone()),
        (RoleName::Auditor, all),
        (RoleName::TeamOwner, vec![own]),
        (RoleName::SelfService, vec!["elsewhere", own]),
    ] {
        let role = role(name);
        let page = setup.get(&role, "/tokens").await;
        let items = page["items"].as_array().unwrap();
        let mut labels: Vec<&str> = items.iter().map(|token| token["label"].as_str().unwrap()).collect();
        labels.sort_unstable();
        let mut tokens = tokens;
        tokens.sort_unstable();
        assert_eq!(labels, tokens, "{name:?}");
        assert_eq!(page["total"], json!(labels.len()), "{name:?}: the number is of the same tokens");
        let (users, objects, budgets) = match name {
            RoleName::Admin | RoleName::Auditor => (4, 2, 2),
            RoleName::TeamOwner => (2, 1, 1),
            RoleName::SelfService => (1, 1, 1),
        };
        assert_eq!(setup.get(&role, "/users").await["total"], json!(users), "{name:?}");
        assert_eq!(setup.get(&role, "/objects").await["total"], json!(objects), "{name:?}");
        let found = setup.get(&role, "/budgets").await["items"].as_array().unwrap().len();
        assert_eq!(found, budgets, "{name:?}");
        // An address has no more than the lists, and a count for attention neither.
        let owned = setup.get(&role, &format!("/owners/{BOB}")).await;
        let sees_all = matches!(name, RoleName::Admin | RoleName::Auditor);
        let found = (owned["tokens"].as_array().unwrap().len(), owned["user"].is_object());
        assert_eq!(found, (usize::from(sees_all), sees_all), "{name:?}");
        let unowned = setup.get(&role, "/tokens?attention=unowned").await["total"].as_i64().unwrap();
        assert_eq!(unowned, i64::from(sees_all), "{name:?}");
        // A filter does not widen the part.
        let searched =
            setup.get(&role, &format!("/tokens?search={foreign}")).await["total"].as_i64().unwrap();
        assert_eq!(searched, i64::from(sees_all), "{name:?}");
        let me = setup.get(&role, "/me").await;
        assert_eq!(me["role"], json!(name), "{me}");
    }
}

async fn a_person_has_no_more_rights_than_its_user(database: &Database) {
    let setup = Setup::start(database).await;
    let alice = role(RoleName::SelfService);
    let create = async |new: Value| {
        let (status, text) = setup.ask(&alice, &Method::POST, "/admin/api/tokens", &Body::Json(new)).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, answer) = create(json!({"label": "a", "providers": ["openai"]})).await;
    assert_eq!((status, &answer["code"]), (403, &json!("beyond_role")), "{answer}");
    let user = NewUser {
        email: ALICE.to_owned(),
        team: Some("red".to_owned()),
        providers: vec!["openai".to_owned(), "openai:files".to_owned()],
        models: vec!["gpt-4o".to_owned(), "o3".to_owned()],
        ..NewUser::default()
    };
    setup.registry.create_user(user, &admin()).await.unwrap();
    let (status, answer) = create(json!({"label": "a"})).await;
    assert_eq!(status, 201, "{answer}");
    let record = &answer["record"];
    assert_eq!((&record["owner"], &record["team"]), (&json!(ALICE), &json!("red")));
    assert_eq!(
        (&record["providers"], &record["models"]),
        (&json!(["openai", "openai:files"]), &json!(["gpt-4o", "o3"]))
    );
    for beyond in [
        json!({"label": "a", "owner": BOB}),
        json!({"label": "a", "team": "blue"}),
        json!({"label": "a", "providers": ["anthropic"]}),
        json!({"label": "a", "providers": ["openai:*"]}),
        json!({"label": "a", "models": ["*"]}),
        json!({"label": "a", "models": ["gpt-4o", "o1"]}),
        json!({"label": "a", "rate_limit": {"requests": 1000, "per": "1s"}}),
        json!({"label": "a", "token": "SENTINEL-custom-token"}),
        json!({"label": "a", "sha256": "0".repeat(64)}),
    ] {
        let (status, answer) = create(beyond.clone()).await;
        assert_eq!((status, &answer["code"]), (403, &json!("beyond_role")), "{beyond}: {answer}");
    }
    // Rights are not given back to oneself.
    let path = format!("/admin/api/tokens/{}", record["sha256"].as_str().unwrap());
    for (patch, expect) in [
        (json!({"status": "disabled"}), 200),
        (json!({"status": "active"}), 403),
        (json!({"team": "blue"}), 403),
        (json!({"label": "b"}), 403),
        (json!({"owner": BOB}), 403),
        (json!({"owner": null}), 403),
        (json!({"providers": ["anthropic"]}), 403),
        (json!({"models": []}), 403),
        (json!({"expires_at": null}), 403),
        (json!({"rate_limit": null}), 403),
    ] {
        let (status, text) = setup.ask(&alice, &Method::PATCH, &path, &Body::Json(patch.clone())).await;
        assert_eq!(status, expect, "{patch}: {text}");
    }
    // A team owner moves nothing out of the team, and takes nothing in.
    let owner = role(RoleName::TeamOwner);
    for (patch, expect) in
        [(json!({"team": "blue"}), 403), (json!({"team": null}), 403), (json!({"team": "red"}), 200)]
    {
        let (status, text) = setup.ask(&owner, &Method::PATCH, &path, &Body::Json(patch.clone())).await;
        assert_eq!(status, expect, "{patch}: {text}");
    }
    let audit = setup.get(&role(RoleName::Auditor), "/audit?limit=200").await;
    let made = audit["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "token.create");
    let actors: Vec<&Value> = made.map(|entry| &entry["actor"]).collect();
    assert_eq!(actors, [&json!("self_service@people.example")]);
}

async fn an_undo_does_no_more_than_its_author_could_by_hand(database: &Database) {
    let setup = Setup::start(database).await;
    let red = Things::make(&setup.registry, "red", ALICE).await;
    let blue = Things::make(&setup.registry, "blue", BOB).await;
    let (of_red, of_blue) = (red.token.digest, blue.token.digest);
    let change = async |digest: &Digest, patch: TokenPatch| {
        setup.registry.update_token(digest, patch, &admin()).await.unwrap();
        let query = AuditQuery { subject: Some(digest.to_hex()), ..AuditQuery::default() };
        setup.registry.audit(&query).await.unwrap().items[0].id
    };
    let status = |status| TokenPatch { status: Some(status), ..TokenPatch::default() };
    let team = |team: &str| TokenPatch { team: Some(Some(team.to_owned())), ..TokenPatch::default() };
    let undo = async |name: RoleName, digest: &Digest, entry: i64| {
        let form = Body::Form(vec![("entry", entry.to_string())]);
        let path = format!("/admin/tokens/{}/undo", digest.to_hex());
        setup.ask(&role(name), &Method::POST, &path, &form).await.0
    };
    let disabled = change(&of_red, status(Status::Disabled)).await;
    assert_eq!(undo(RoleName::SelfService, &of_red, disabled).await, 403, "a person enables nothing");
    assert_eq!(undo(RoleName::Auditor, &of_red, disabled).await, 403);
    assert_eq!(undo(RoleName::TeamOwner, &of_red, disabled).await, 303);
    // The entry of a foreign token undoes nothing, by neither token.
    let foreign = change(&of_blue, status(Status::Disabled)).await;
    assert_eq!(undo(RoleName::TeamOwner, &of_red, foreign).await, 409);
    assert_eq!(undo(RoleName::TeamOwner, &of_blue, foreign).await, 404);
    // The token came from another team, where the team owner cannot put it.
    let moved = change(&of_blue, team("red")).await;
    assert_eq!(undo(RoleName::TeamOwner, &of_blue, moved).await, 403);
    assert_eq!(undo(RoleName::Admin, &of_blue, moved).await, 303);
    assert_eq!(setup.registry.token(&of_blue).await.unwrap().team.as_deref(), Some("blue"));
}

#[test]
fn all_of_an_owner_is_disabled_by_actors_with_all_in_reach_only() {
    run(
        async |database| {
            let registry = database.open().await;
            let things = Things::make(&registry, "red", ALICE).await;
            for reach in [Reach::Teams(["red".to_owned()].into()), Reach::Person(ALICE.to_owned())] {
                let refused = registry.offboard(ALICE, &Actor::within("x", reach)).await;
                assert!(matches!(refused, Err(RegistryError::BeyondRole(_))), "{refused:?}");
            }
            assert_eq!(registry.token(&things.token.digest).await.unwrap().status, Status::Active);
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_page_shows_the_name_and_offers_what_the_role_may() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let things = Things::make(&setup.registry, "red", ALICE).await;
            Things::make(&setup.registry, "blue", BOB).await;
            let token = format!("/admin/tokens/{}", things.token.digest.to_hex());
            let form = Body::Form(vec![("clear", "yes".to_owned())]);
            let (status, _) =
                setup.ask(&role(RoleName::TeamOwner), &Method::POST, &format!("{token}/expiry"), &form).await;
            assert_eq!(status, 303);
            let changing = "New token, Disable, Rotate this token";
            for (name, word, tokens, offered, hidden) in [
                (
                    RoleName::Admin,
                    "administrator",
                    2,
                    format!(
                        "{changing}, Never expire, Newest changes, Audit log, History, /undo, Offboard a leaver"
                    ),
                    "",
                ),
                (
                    RoleName::Auditor,
                    "auditor",
                    2,
                    "Audit log, Newest changes, History".to_owned(),
                    "New token, Disable, Rotate this token, /undo, Offboard a leaver",
                ),
                (
                    RoleName::TeamOwner,
                    "team owner",
                    1,
                    format!("{changing}, Never expire, Your changes, /undo"),
                    "Audit log, Credentials, Newest changes, History, Offboard a leaver",
                ),
                (
                    RoleName::SelfService,
                    "self-service",
                    1,
                    changing.to_owned(),
                    "Audit log, Policies, Newest changes, Never expire, Save, History, Your changes",
                ),
            ] {
                let mut pages = String::new();
                for path in ["/admin", "/admin/tokens", "/admin/users", &token] {
                    let (status, page) = setup.ask(&role(name), &Method::GET, path, &Body::None).await;
                    assert_eq!(status, 200, "{path}");
                    pages.push_str(&page);
                }
                assert!(pages.contains(&format!("{}@people.example · {word}", name.name())), "{pages}");
                assert!(pages.contains(&format!("Active tokens</a></dt><dd>{tokens}</dd>")), "{name:?}");
                for text in offered.split(", ") {
                    assert!(pages.contains(text), "{name:?} {text}");
                }
                for text in hidden.split(", ").filter(|text| !text.is_empty()) {
                    assert!(!pages.contains(text), "{name:?} {text}");
                }
            }
            // A page of an operation that the role lacks says so.
            let (status, page) =
                setup.ask(&role(RoleName::TeamOwner), &Method::GET, "/admin/audit", &Body::None).await;
            assert!(
                status == 403 && page.contains("the role `team_owner` may not read the audit log"),
                "{page}"
            );
        },
        &Database::sqlite(),
    );
}

#[test]
fn the_document_of_the_api_has_every_route_and_how_to_sign_in() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let answer =
                server.client.get(format!("{}/admin/api/openapi.json", server.url)).send().await.unwrap();
            let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            for route in admin_routes().iter().filter(|route| route.path.starts_with("/admin/api/")) {
                let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
                assert!(operation["summary"].is_string(), "{route:?}");
                assert_eq!(operation["security"], json!([{"api_key": []}, {"session": []}]), "{route:?}");
            }
            let schemes = &document["components"]["securitySchemes"];
            assert_eq!(
                (&schemes["api_key"]["scheme"], &schemes["session"]["in"]),
                (&json!("bearer"), &json!("cookie"))
            );
        },
        &Database::sqlite(),
    );
}
