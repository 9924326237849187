//! The operations that permits carry out: each is a method of its own permit, and of no other.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use keyswap_core::base::{Digest, UnixTime};

use super::operation::{Op, op};
use super::permit::Permit;
use super::session;
use crate::registry::{
    AdminRole, Adopted, ApiKey, AuditEntry, AuditQuery, Budget, Created, Credential, Device, Holder,
    KeptObject, KnownToken, Moved, NewApiKey, NewCredential, NewToken, NewUser, ObjectKey, Offboarded, Page,
    Payer, PolicyStatus, Progress, Result, Revision, Role, Rotation, SecretText, SignerKeys, Signers, Source,
    Token, TokenPatch, User, UserPatch,
};
use crate::server::admin::client::Client;
use crate::server::problem::Problem;

/// Writes the operations: for each a permit, a method, and the registry's operation of the same name.
macro_rules! operations {
    ($($op:ident { $(async fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty $(as $with:ident)?;)+ })+) => {
        $(impl Permit<op::$op> {
            $(
                pub(in crate::server::admin) async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                    operations!(@call self $name($($argument),*) $($with)?)
                }
            )+
        })+
    };
    (@call $self:ident $name:ident($($argument:ident),*)) => { $self.registry().$name($($argument),*).await };
    (@call $self:ident $name:ident($($argument:ident),*) actor) => {
        $self.registry().$name($($argument,)* $self.actor()).await
    };
}

operations! {
    CreateToken {
        async fn create_token(source: Source, new: NewToken) -> Created as actor;
    }
    ChangeToken {
        async fn update_token(digest: &Digest, patch: TokenPatch) -> Token as actor;
        async fn undo_token(digest: &Digest, entry: i64) -> Token as actor;
    }
    RotateToken {
        async fn rotate_token(digest: &Digest, source: Source, grace: Duration) -> Rotation as actor;
    }
    DeleteToken {
        async fn delete_token(digest: &Digest) -> () as actor;
    }
    ImportTokens {
        async fn import_tokens(tokens: Vec<KnownToken>) -> Vec<Token> as actor;
    }

    CreateUser {
        async fn create_user(new: NewUser) -> User as actor;
    }
    ChangeUser {
        async fn update_user(email: &str, patch: UserPatch) -> User as actor;
        async fn undo_user(email: &str, entry: i64) -> User as actor;
    }
    DeleteUser {
        async fn delete_user(email: &str) -> () as actor;
    }
    Offboard {
        async fn offboard(email: &str) -> Offboarded as actor;
    }

    EndSession {
        async fn end_device_session(sid: &str) -> () as actor;
    }

    // The form for a budget sets and deletes: both are for the same roles.
    SetBudget {
        async fn set_budget(subject: &Payer, budget: &Budget) -> () as actor;
        async fn delete_budget(subject: &Payer) -> () as actor;
    }
    DeleteBudget {
        async fn delete_budget(subject: &Payer) -> () as actor;
    }

    AdoptObjects {
        async fn adopt_objects(keys: &[ObjectKey], kind: Option<&str>, holder: &Holder) -> Adopted as actor;
    }
    TransferObjects {
        async fn transfer_object(digest: &Digest, to: &Holder) -> KeptObject as actor;
        async fn transfer_objects(from: &Holder, to: &Holder) -> Moved as actor;
    }
    ForgetObject {
        async fn forget_object(digest: &Digest) -> () as actor;
    }

    ListPolicies {
        async fn policies() -> Vec<Revision>;
    }
    ShowPolicy {
        async fn policy(name: &str) -> PolicyStatus;
        async fn proposal(name: &str) -> String;
        async fn bundle(name: &str, revision: Option<i64>) -> (i64, String);
    }
    PublishPolicy {
        async fn publish(bundle: &str, keys: Option<&SignerKeys>) -> Progress<Revision> as actor;
        async fn sign(name: &str, bundle: &str) -> Progress<Revision> as actor;
    }
    TrustSigners {
        async fn trust_signed(name: &str, request: &str) -> Progress<Signers> as actor;
    }

    ListCredentials {
        async fn credentials() -> Vec<Credential>;
    }
    CreateCredential {
        async fn create_credential(name: &str, role: Role) -> NewCredential as actor;
    }
    RevokeCredential {
        async fn revoke_credential(digest: &Digest) -> () as actor;
    }

    ListApiKeys {
        async fn api_keys() -> Vec<ApiKey>;
    }
    // The pages of a new key have the list and the record.
    CreateApiKey {
        async fn create_api_key(name: &str, role: AdminRole, expires_at: Option<UnixTime>) -> NewApiKey as actor;
        async fn api_keys() -> Vec<ApiKey>;
        async fn api_key(digest: &Digest) -> ApiKey;
    }
    RevokeApiKey {
        async fn revoke_api_key(digest: &Digest) -> () as actor;
    }

    ReadAudit {
        async fn audit(query: &AuditQuery) -> Page<AuditEntry>;
        async fn audit_entries(query: &AuditQuery, count: u32) -> Vec<AuditEntry>;
        async fn count_audit(query: &AuditQuery) -> i64;
    }
}

impl Permit<op::ReadAudit> {
    /// Notes an export of the audit log in the log itself.
    pub(in crate::server::admin) async fn note_export(&self, format: &str) -> Result<()> {
        self.registry().note(self.actor(), "audit.export", format).await
    }
}

/// An operation that makes a secret, which a page then shows.
pub(in crate::server::admin) trait Mints: Op {}

impl Mints for op::CreateToken {}
impl Mints for op::RotateToken {}
impl Mints for op::CreateApiKey {}

impl<O: Mints> Permit<O> {
    /// Returns the key that seals new secrets.
    pub(in crate::server::admin) async fn seal_key(&self) -> Result<SecretText> {
        self.registry().seal_key().await
    }
}

/// The changes of a thing, each with its entry in the audit log.
impl<O> Permit<O> {
    /// Returns the newest changes of a token. Without a right to the audit log these are the person's own ones.
    pub(in crate::server::admin) async fn changes_of_token(
        &self,
        token: &Token,
        count: u32,
    ) -> Result<Vec<AuditEntry>> {
        self.changes(token.digest.to_hex(), count).await
    }

    /// Returns the newest changes of a user. Without a right to the audit log these are the person's own ones.
    pub(in crate::server::admin) async fn changes_of_user(
        &self,
        user: &User,
        count: u32,
    ) -> Result<Vec<AuditEntry>> {
        self.changes(user.email.clone(), count).await
    }

    async fn changes(&self, subject: String, count: u32) -> Result<Vec<AuditEntry>> {
        let reads_all = self.other::<op::ReadAudit>().is_some();
        let actor = (!reads_all).then(|| self.actor().to_string());
        let query = AuditQuery { subject: Some(subject), actor, ..AuditQuery::default() };
        self.registry().audit_entries(&query, count).await
    }
}

impl Permit<op::BeginSession> {
    /// Returns the device that waits with a code, for the person that typed it. A person tries ten codes a minute, whatever becomes
    /// of them.
    pub(in crate::server::admin) async fn waiting_device(
        &self,
        user_code: &str,
    ) -> std::result::Result<Device, Problem> {
        self.count_code().await?;
        Ok(self.registry().waiting_device(user_code).await?)
    }

    /// Notes the person's decision about the device that waits with a code.
    pub(in crate::server::admin) async fn decide_device(
        &self,
        user_code: &str,
        email: &str,
        is_approved: bool,
    ) -> std::result::Result<(), Problem> {
        self.count_code().await?;
        Ok(self.registry().decide_device(user_code, email, is_approved, self.actor()).await?)
    }

    async fn count_code(&self) -> std::result::Result<(), Problem> {
        if self.registry().count_try(&format!("user-code {}", self.actor())).await?.is_none() {
            return Ok(());
        }
        let detail = "too many codes: wait a minute";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", detail))
    }
}

impl Permit<op::SignOut> {
    /// Ends the session of a request, and returns the `Set-Cookie` that removes the cookie.
    pub(in crate::server::admin) async fn sign_out(
        &self,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<HeaderValue> {
        let cookie = session::end(self.registry(), headers, client).await?;
        self.registry().note(self.actor(), "admin.sign_out", &client.name()).await?;
        Ok(cookie)
    }
}
