//! The operations of a registry, as requests to its administration API.

use std::time::Duration;

use keyswap_core::base::{Digest, UnixTime};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Remote;
use super::response::NotKeyswapError;
use crate::command::connection::operations::Operations;
use crate::registry::{
    AdminRole, Adopted, ApiKey, Budget, BudgetState, Created, Credential, Holder, KeptObject, KnownToken,
    Listing, Moved, NewApiKey, NewCredential, NewToken, NewUser, ObjectKey, ObjectListing, Offboarded, Page,
    Payer, PolicyStatus, Progress, Revision, Role, Rotation, SecretText, Session, SignerKeys, Signers,
    Source, Status, Token, TokenPatch, UsageBy, UsageDetail, UsageQuery, UsageSummary, User, UserPatch,
};

/// The body of a request for a new token.
#[derive(Serialize)]
struct New<'a> {
    #[serde(flatten)]
    record: NewToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// The response to a request for a new token: the token, shown once, and its record.
#[derive(Deserialize)]
struct Issued {
    token: Option<String>,
    record: Token,
}

#[derive(Deserialize)]
struct Rotated {
    #[serde(flatten)]
    successor: Issued,
    retiring: Token,
}

#[derive(Deserialize)]
struct Imported {
    imported: Vec<Token>,
}

#[derive(Deserialize)]
struct IssuedCredential {
    credential: String,
    record: Credential,
}

#[derive(Deserialize)]
struct IssuedApiKey {
    api_key: String,
    record: ApiKey,
}

/// A list that comes in one answer.
#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Bundle {
    bundle: String,
}

impl Operations for Remote {
    fn create_token(&self, source: Source, new: NewToken) -> anyhow::Result<Created> {
        let body = New {
            record: new,
            token: if let Source::Custom(token) = &source { Some(token.expose()) } else { None },
            sha256: if let Source::Digest(digest) = &source { Some(digest.to_hex()) } else { None },
        };
        self.ask::<Issued>(Method::POST, &["tokens"], &serde_json::to_value(body)?)?.check()
    }

    fn import_tokens(&self, tokens: Vec<KnownToken>) -> anyhow::Result<Vec<Token>> {
        let known = |KnownToken { digest, new, status }: KnownToken| {
            // Every field by name: one that is left out would be dropped in silence, and a restriction with it.
            let NewToken {
                label,
                owner,
                team,
                providers,
                models,
                expires_at,
                rate_limit,
                certificate_sha256,
            } = new;
            let mut known = json!({
                "sha256": digest.to_hex(),
                "label": label,
                "owner": owner,
                "team": team,
                "providers": providers,
                "models": models,
                "expires_at": expires_at,
                "rate_limit": rate_limit,
                "status": status,
            });
            // An older server refuses the field, which then is not dropped either.
            if let (Some(certificate), Some(known)) = (certificate_sha256, known.as_object_mut()) {
                known.insert("certificate_sha256".to_owned(), certificate.into());
            }
            known
        };
        let tokens: Vec<Value> = tokens.into_iter().map(known).collect();
        let body = json!({"tokens": tokens});
        Ok(self.ask::<Imported>(Method::POST, &["tokens", "import"], &body)?.imported)
    }

    fn token(&self, digest: &Digest) -> anyhow::Result<Token> {
        self.get(&["tokens", &digest.to_hex()])
    }

    fn tokens(&self, listing: &Listing) -> anyhow::Result<Page<Token>> {
        self.list("tokens", listing)
    }

    fn update_token(&self, digest: &Digest, patch: TokenPatch) -> anyhow::Result<Token> {
        self.ask(Method::PATCH, &["tokens", &digest.to_hex()], &serde_json::to_value(patch)?)
    }

    fn rotate_token(&self, digest: &Digest, grace: Duration) -> anyhow::Result<Rotation> {
        let body = json!({"grace": format!("{}s", grace.as_secs())});
        let rotated: Rotated = self.ask(Method::POST, &["tokens", &digest.to_hex(), "rotate"], &body)?;
        Ok(Rotation { successor: rotated.successor.check()?, retiring: rotated.retiring })
    }

    fn delete_token(&self, digest: &Digest) -> anyhow::Result<()> {
        self.delete(&["tokens", &digest.to_hex()])
    }

    fn owned_by(&self, email: &str) -> anyhow::Result<Offboarded> {
        self.get(&["owners", email])
    }

    fn offboard(&self, email: &str) -> anyhow::Result<Offboarded> {
        self.ask(Method::POST, &["owners", email, "offboard"], &Value::Null)
    }

    fn create_user(&self, new: NewUser) -> anyhow::Result<User> {
        self.ask(Method::POST, &["users"], &serde_json::to_value(new)?)
    }

    fn user(&self, email: &str) -> anyhow::Result<User> {
        self.get(&["users", email])
    }

    fn users(&self, listing: &Listing) -> anyhow::Result<Page<User>> {
        self.list("users", listing)
    }

    fn update_user(&self, email: &str, patch: UserPatch) -> anyhow::Result<User> {
        self.ask(Method::PATCH, &["users", email], &serde_json::to_value(Patch::from(patch))?)
    }

    fn delete_user(&self, email: &str) -> anyhow::Result<()> {
        self.delete(&["users", email])
    }

    fn create_credential(&self, name: &str, role: Role) -> anyhow::Result<NewCredential> {
        let body = json!({"name": name, "role": role});
        let issued: IssuedCredential = self.ask(Method::POST, &["credentials"], &body)?;
        let credential = SecretText::new(issued.credential);
        check_issued(&credential, &issued.record.digest)?;
        Ok(NewCredential { credential, record: issued.record })
    }

    fn credentials(&self) -> anyhow::Result<Vec<Credential>> {
        Ok(self.get::<Items<Credential>>(&["credentials"])?.items)
    }

    fn revoke_credential(&self, digest: &Digest) -> anyhow::Result<()> {
        self.delete(&["credentials", &digest.to_hex()])
    }

    fn sessions(&self, email: &str) -> anyhow::Result<Vec<Session>> {
        Ok(self.get::<Items<Session>>(&["users", email, "sessions"])?.items)
    }

    fn end_session(&self, sid: &str) -> anyhow::Result<()> {
        self.delete(&["sessions", sid])
    }

    fn create_api_key(&self, name: &str, role: AdminRole, expires_at: UnixTime) -> anyhow::Result<NewApiKey> {
        let mut body = serde_json::to_value(role)?;
        if let Some(body) = body.as_object_mut() {
            body.insert("name".to_owned(), json!(name));
            body.insert("expires_at".to_owned(), json!(expires_at.to_string()));
        }
        let issued: IssuedApiKey = self.ask(Method::POST, &["api-keys"], &body)?;
        let key = SecretText::new(issued.api_key);
        check_issued(&key, &issued.record.digest)?;
        Ok(NewApiKey { key, record: issued.record })
    }

    fn api_keys(&self) -> anyhow::Result<Vec<ApiKey>> {
        Ok(self.get::<Items<ApiKey>>(&["api-keys"])?.items)
    }

    fn revoke_api_key(&self, digest: &Digest) -> anyhow::Result<()> {
        self.delete(&["api-keys", &digest.to_hex()])
    }

    fn budgets(&self) -> anyhow::Result<Vec<BudgetState>> {
        Ok(self.get::<Items<BudgetState>>(&["budgets"])?.items)
    }

    fn budget(&self, subject: &Payer) -> anyhow::Result<Vec<BudgetState>> {
        Ok(self.get::<Items<BudgetState>>(&["budgets", &subject.to_string()])?.items)
    }

    fn set_budget(&self, subject: &Payer, budget: &Budget) -> anyhow::Result<Vec<BudgetState>> {
        let path = ["budgets", &subject.to_string()];
        Ok(self.ask::<Items<BudgetState>>(Method::PUT, &path, &serde_json::to_value(budget)?)?.items)
    }

    fn delete_budget(&self, subject: &Payer) -> anyhow::Result<()> {
        self.delete(&["budgets", &subject.to_string()])
    }

    fn objects(&self, listing: &ObjectListing) -> anyhow::Result<Page<KeptObject>> {
        self.query(&["objects"], &filters(listing))
    }

    fn object(&self, digest: &Digest) -> anyhow::Result<KeptObject> {
        self.get(&["objects", &digest.to_hex()])
    }

    fn adopt_objects(
        &self,
        keys: &[ObjectKey],
        kind: Option<&str>,
        holder: &Holder,
    ) -> anyhow::Result<Adopted> {
        let ids: Vec<&str> = keys.iter().map(ObjectKey::id).collect();
        let provider = keys.first().map_or("", ObjectKey::provider);
        let body = json!({"provider": provider, "ids": ids, "kind": kind, "holder": holder});
        self.ask(Method::POST, &["objects", "adopt"], &body)
    }

    fn transfer_object(&self, digest: &Digest, to: &Holder) -> anyhow::Result<KeptObject> {
        self.ask(Method::POST, &["objects", &digest.to_hex(), "transfer"], &json!({"to": to}))
    }

    fn transfer_objects(&self, from: &Holder, to: &Holder) -> anyhow::Result<Moved> {
        self.ask(Method::POST, &["objects", "transfer"], &json!({"from": from, "to": to}))
    }

    fn forget_object(&self, digest: &Digest) -> anyhow::Result<()> {
        self.delete(&["objects", &digest.to_hex()])
    }

    fn usage(&self, query: &UsageQuery, by: UsageBy, limit: u32) -> anyhow::Result<UsageSummary> {
        let mut parameters = parameters(query, limit);
        parameters.push(("by", by.name().to_owned()));
        self.query(&["usage"], &parameters)
    }

    fn usage_details(&self, query: &UsageQuery, limit: u32) -> anyhow::Result<Vec<UsageDetail>> {
        Ok(self.query::<Items<UsageDetail>>(&["usage", "details"], &parameters(query, limit))?.items)
    }

    fn policies(&self) -> anyhow::Result<Vec<Revision>> {
        Ok(self.get::<Items<Revision>>(&["policies"])?.items)
    }

    fn policy(&self, name: &str) -> anyhow::Result<PolicyStatus> {
        self.get(&["policies", name])
    }

    fn bundle(&self, name: &str, revision: i64) -> anyhow::Result<String> {
        Ok(self.get::<Bundle>(&["policies", name, "revisions", &revision.to_string()])?.bundle)
    }

    fn proposal(&self, name: &str) -> anyhow::Result<String> {
        Ok(self.get::<Bundle>(&["policies", name, "proposal"])?.bundle)
    }

    fn publish(&self, bundle: &str, keys: &SignerKeys) -> anyhow::Result<Progress<Revision>> {
        self.ask(Method::POST, &["policies"], &json!({"bundle": bundle, "keys": keys.document()}))
    }

    fn sign(&self, name: &str, bundle: &str) -> anyhow::Result<Progress<Revision>> {
        self.ask(Method::POST, &["policies", name, "proposal"], &json!({"bundle": bundle}))
    }

    fn trust(&self, _: &str, _: &SignerKeys) -> anyhow::Result<Signers> {
        anyhow::bail!(
            "through a server a registered key has to sign this: pass it with `--key`, or open the database with \
             `--database`"
        )
    }

    fn trust_signed(&self, name: &str, request: &str) -> anyhow::Result<Progress<Signers>> {
        self.ask(Method::PUT, &["policies", name, "signers"], &json!({"request": request}))
    }
}

/// Returns a question about usage as query parameters.
fn parameters(query: &UsageQuery, limit: u32) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        ("since", query.since.to_string()),
        ("until", query.until.to_string()),
        ("token", query.token.map(|digest| digest.to_hex()).unwrap_or_default()),
        ("owner", text(&query.owner)),
        ("team", text(&query.team)),
        ("provider", text(&query.provider)),
        ("model", text(&query.model)),
        ("limit", limit.to_string()),
    ]
}

/// Returns the filters of a list of objects as query parameters.
fn filters(listing: &ObjectListing) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    vec![
        ("provider", text(&listing.provider)),
        ("kind", text(&listing.kind)),
        ("holder", listing.holder.as_ref().map(Holder::to_string).unwrap_or_default()),
        ("owner", text(&listing.owner)),
        ("team", text(&listing.team)),
        ("left", if listing.left { "yes" } else { "" }.to_owned()),
        ("after", number(listing.after)),
        ("limit", number(listing.limit.map(i64::from))),
    ]
}

/// The body of a user's update. Unchanged fields are left out.
#[derive(Serialize)]
#[expect(clippy::option_option, reason = "there are three cases")]
struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<Option<crate::registry::RateLimit>>,
}

impl From<UserPatch> for Patch {
    fn from(patch: UserPatch) -> Self {
        let UserPatch { version, label, team, providers, models, status, rate_limit } = patch;
        Self { version, label, team, providers, models, status, rate_limit }
    }
}

impl Issued {
    /// Checks the token, if there is one.
    fn check(self) -> anyhow::Result<Created> {
        let token = self.token.map(SecretText::new);
        if let Some(token) = &token {
            check_issued(token, &self.record.digest)?;
        }
        Ok(Created { token, record: self.record })
    }
}

/// Checks that a secret matches the digest of its record and consists of visible ASCII characters.
fn check_issued(secret: &SecretText, digest: &Digest) -> anyhow::Result<()> {
    let text = secret.expose();
    let is_its_own = Digest::of(text.as_bytes()) == *digest;
    anyhow::ensure!(is_its_own && text.bytes().all(|byte| byte.is_ascii_graphic()), NotKeyswapError);
    Ok(())
}
