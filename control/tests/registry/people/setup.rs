//! A server with people of each role, and things of two teams.

use std::sync::atomic::{AtomicU32, Ordering};

use keyswap::registry::{
    Actor, AdminRole, AuditQuery, Budget, KeptObject, NewUser, ObjectClaim, ObjectKey, Payer, Per, Poll,
    Registry, RoleName, Source, Status, Token, TokenPatch, UserPatch, Zone,
};
use keyswap_core::base::Digest;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, builder};
use crate::support::{Database, admin, new_token};

pub(super) const ALICE: &str = "alice@acme.example";
pub(super) const BOB: &str = "bob@acme.example";
const ISSUER: &str = "http://127.0.0.1:9";
const ROLES: &str = "roles: [{role: self_service}]";

/// The roles: the owner is of the team `red`, the person is Alice, who is in it.
pub(super) const NAMES: [RoleName; 4] =
    [RoleName::Admin, RoleName::Auditor, RoleName::TeamOwner, RoleName::SelfService];

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(super) fn number() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn role(name: RoleName) -> AdminRole {
    let teams = if name == RoleName::TeamOwner { vec!["red".to_owned()] } else { Vec::new() };
    AdminRole::new(name, &teams, (name == RoleName::SelfService).then_some(ALICE)).unwrap()
}

/// A server with a provider that is never asked, and its registry.
pub(super) struct Setup {
    pub(super) server: Server,
    pub(super) registry: Registry,
    pub(super) client: Client,
    _files: TempDir,
}

impl Setup {
    pub(super) async fn start(database: &Database) -> Self {
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
    pub(super) async fn session(&self, role: &AdminRole) -> String {
        let name = format!("{}@people.example", role.name().name());
        self.session_of(&name, role).await.unwrap()
    }

    /// Returns the cookie of a new session of this person, `None` if the person is a disabled user.
    pub(super) async fn session_of(&self, name: &str, role: &AdminRole) -> Option<String> {
        let secret = format!("secret-{}", number());
        let id = Digest::of(secret.as_bytes());
        let has_begun = self.registry.begin_person_session(&id, name, role, &settings(), 3600).await.unwrap();
        has_begun.then(|| format!("keyswap_session={secret}"))
    }

    pub(super) async fn ask(
        &self,
        role: &AdminRole,
        method: &Method,
        path: &str,
        body: &Body,
    ) -> (u16, String) {
        self.ask_with(&self.session(role).await, method, path, body).await
    }

    /// Sends a request with the session of this cookie.
    pub(super) async fn ask_with(
        &self,
        cookie: &str,
        method: &Method,
        path: &str,
        body: &Body,
    ) -> (u16, String) {
        let request = self.client.request(method.clone(), format!("{}{path}", self.server.url));
        let answer = body
            .add_to(request.header("cookie", cookie).header("x-keyswap-client", "test"))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(super) async fn get(&self, role: &AdminRole, path: &str) -> Value {
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
pub(super) struct Things {
    pub(super) team: &'static str,
    pub(super) email: &'static str,
    pub(super) token: Token,
    pub(super) object: KeptObject,
    /// The id of a session of the person.
    pub(super) session: String,
    /// A user of the team beside the person.
    pub(super) user: String,
    /// The newest entries of the audit log about the token and the user: changes that can be undone.
    pub(super) entries: [i64; 2],
}

impl Things {
    pub(super) async fn make(registry: &Registry, team: &'static str, email: &'static str) -> Self {
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

pub(super) enum Body {
    None,
    Json(Value),
    Form(Vec<(&'static str, String)>),
}

impl Body {
    pub(super) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Json(value) => request.json(value),
            Self::Form(fields) => request.form(fields),
        }
    }
}
