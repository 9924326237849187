//! The operations that permits carry out: each is a method of its own permit, and of no other.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use keyswap_core::base::{Digest, UnixTime};

use super::operation::op;
use super::permit::Permit;
use super::session;
use crate::registry::{
    AdminRole, Adopted, ApiKey, AuditEntry, Budget, Created, Credential, Holder, KeptObject, KnownToken,
    Listing, Moved, NewApiKey, NewCredential, NewToken, NewUser, ObjectKey, Page, Payer, PolicyStatus,
    Progress, Result, Revision, Role, Rotation, SignerKeys, Signers, Source, Token, TokenPatch, User,
    UserPatch,
};
use crate::server::admin::client::Client;

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
    }
    DeleteUser {
        async fn delete_user(email: &str) -> () as actor;
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
    CreateApiKey {
        async fn create_api_key(name: &str, role: AdminRole, expires_at: Option<UnixTime>) -> NewApiKey as actor;
    }
    RevokeApiKey {
        async fn revoke_api_key(digest: &Digest) -> () as actor;
    }

    ReadAudit {
        async fn audit(listing: &Listing) -> Page<AuditEntry>;
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
