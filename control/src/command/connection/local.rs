//! A registry in a database that this process opens.

use std::time::Duration;

use anyhow::Context as _;
use keyswap_core::base::{Digest, UnixTime};
use tokio::runtime::Runtime;

use super::operations::Operations;
use crate::registry::{
    self, Actor, AdminRole, Adopted, ApiKey, Budget, BudgetState, Created, Credential, DatabaseUrl, Holder,
    KeptObject, KnownToken, Listing, Moved, NewApiKey, NewCredential, NewToken, NewUser, ObjectKey,
    ObjectListing, Offboarded, Page, Payer, PolicyStatus, Progress, Reach, Registry, Revision, Role,
    Rotation, Session, SignerKeys, Signers, Source, Token, TokenPatch, UsageBy, UsageDetail, UsageQuery,
    UsageSummary, User, UserPatch, now,
};

/// The budgets of policies in one answer.
const MAX_OF_POLICIES: i64 = 1000;

/// An open database, with the runtime that its operations run on.
pub(in crate::command) struct Local {
    runtime: Runtime,
    registry: Registry,
    /// The actor in the audit log.
    actor: Actor,
}

impl Local {
    pub(in crate::command) fn open(url: &DatabaseUrl) -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("cannot start")?;
        let registry = runtime.block_on(Registry::open(url))?;
        Ok(Self { runtime, registry, actor: Actor::new("command line") })
    }

    fn wait<T>(&self, answer: impl Future<Output = registry::Result<T>>) -> anyhow::Result<T> {
        Ok(self.runtime.block_on(answer)?)
    }
}

impl Operations for Local {
    fn create_token(&self, source: Source, new: NewToken) -> anyhow::Result<Created> {
        self.wait(self.registry.create_token(source, new, &self.actor))
    }

    fn import_tokens(&self, tokens: Vec<KnownToken>) -> anyhow::Result<Vec<Token>> {
        self.wait(self.registry.import_tokens(tokens, &self.actor))
    }

    fn token(&self, digest: &Digest) -> anyhow::Result<Token> {
        self.wait(self.registry.token(digest))
    }

    fn tokens(&self, listing: &Listing) -> anyhow::Result<Page<Token>> {
        self.wait(self.registry.tokens(listing))
    }

    fn update_token(&self, digest: &Digest, patch: TokenPatch) -> anyhow::Result<Token> {
        self.wait(self.registry.update_token(digest, patch, &self.actor))
    }

    fn rotate_token(&self, digest: &Digest, grace: Duration) -> anyhow::Result<Rotation> {
        self.wait(self.registry.rotate_token(digest, Source::Mint, grace, &self.actor))
    }

    fn delete_token(&self, digest: &Digest) -> anyhow::Result<()> {
        self.wait(self.registry.delete_token(digest, &self.actor))
    }

    fn owned_by(&self, email: &str) -> anyhow::Result<Offboarded> {
        self.wait(self.registry.owned_by(email))
    }

    fn offboard(&self, email: &str) -> anyhow::Result<Offboarded> {
        self.wait(self.registry.offboard(email, &self.actor))
    }

    fn create_user(&self, new: NewUser) -> anyhow::Result<User> {
        self.wait(self.registry.create_user(new, &self.actor))
    }

    fn user(&self, email: &str) -> anyhow::Result<User> {
        self.wait(self.registry.user(email))
    }

    fn users(&self, listing: &Listing) -> anyhow::Result<Page<User>> {
        self.wait(self.registry.users(listing))
    }

    fn update_user(&self, email: &str, patch: UserPatch) -> anyhow::Result<User> {
        self.wait(self.registry.update_user(email, patch, &self.actor))
    }

    fn delete_user(&self, email: &str) -> anyhow::Result<()> {
        self.wait(self.registry.delete_user(email, &self.actor))
    }

    fn create_credential(&self, name: &str, role: Role) -> anyhow::Result<NewCredential> {
        self.wait(self.registry.create_credential(name, role, &self.actor))
    }

    fn credentials(&self) -> anyhow::Result<Vec<Credential>> {
        self.wait(self.registry.credentials())
    }

    fn revoke_credential(&self, digest: &Digest) -> anyhow::Result<()> {
        self.wait(self.registry.revoke_credential(digest, &self.actor))
    }

    fn sessions(&self, email: &str) -> anyhow::Result<Vec<Session>> {
        self.wait(async {
            let user = self.registry.user(email).await?;
            self.registry.sessions(&user.email).await
        })
    }

    fn end_session(&self, sid: &str) -> anyhow::Result<()> {
        self.wait(self.registry.end_device_session(sid, &self.actor))
    }

    fn create_api_key(&self, name: &str, role: AdminRole, expires_at: UnixTime) -> anyhow::Result<NewApiKey> {
        self.wait(self.registry.create_api_key(name, role, Some(expires_at), &self.actor))
    }

    fn api_keys(&self) -> anyhow::Result<Vec<ApiKey>> {
        self.wait(self.registry.api_keys())
    }

    fn revoke_api_key(&self, digest: &Digest) -> anyhow::Result<()> {
        self.wait(self.registry.revoke_api_key(digest, &self.actor))
    }

    fn budgets(&self) -> anyhow::Result<Vec<BudgetState>> {
        let mut states = self.wait(self.registry.budgets(&Reach::All, now()))?;
        states.append(&mut self.wait(self.registry.budgets_of_policies(
            &Reach::All,
            MAX_OF_POLICIES,
            now(),
        ))?);
        Ok(states)
    }

    fn budget(&self, subject: &Payer) -> anyhow::Result<Vec<BudgetState>> {
        self.wait(self.registry.budget(subject, now()))
    }

    fn set_budget(&self, subject: &Payer, budget: &Budget) -> anyhow::Result<Vec<BudgetState>> {
        self.wait(self.registry.set_budget(subject, budget, &self.actor))?;
        self.budget(subject)
    }

    fn delete_budget(&self, subject: &Payer) -> anyhow::Result<()> {
        self.wait(self.registry.delete_budget(subject, &self.actor))
    }

    fn objects(&self, listing: &ObjectListing) -> anyhow::Result<Page<KeptObject>> {
        self.wait(self.registry.objects(listing))
    }

    fn object(&self, digest: &Digest) -> anyhow::Result<KeptObject> {
        self.wait(self.registry.object(digest))
    }

    fn adopt_objects(
        &self,
        keys: &[ObjectKey],
        kind: Option<&str>,
        holder: &Holder,
    ) -> anyhow::Result<Adopted> {
        self.wait(self.registry.adopt_objects(keys, kind, holder, &self.actor))
    }

    fn transfer_object(&self, digest: &Digest, to: &Holder) -> anyhow::Result<KeptObject> {
        self.wait(self.registry.transfer_object(digest, to, &self.actor))
    }

    fn transfer_objects(&self, from: &Holder, to: &Holder) -> anyhow::Result<Moved> {
        self.wait(self.registry.transfer_objects(from, to, &self.actor))
    }

    fn forget_object(&self, digest: &Digest) -> anyhow::Result<()> {
        self.wait(self.registry.forget_object(digest, &self.actor))
    }

    fn usage(&self, query: &UsageQuery, by: UsageBy, limit: u32) -> anyhow::Result<UsageSummary> {
        self.wait(self.registry.usage(query, by, limit))
    }

    fn usage_details(&self, query: &UsageQuery, limit: u32) -> anyhow::Result<Vec<UsageDetail>> {
        self.wait(self.registry.usage_details(query, limit))
    }

    fn policies(&self) -> anyhow::Result<Vec<Revision>> {
        self.wait(self.registry.policies())
    }

    fn policy(&self, name: &str) -> anyhow::Result<PolicyStatus> {
        self.wait(self.registry.policy(name))
    }

    fn bundle(&self, name: &str, revision: i64) -> anyhow::Result<String> {
        Ok(self.wait(self.registry.bundle(name, Some(revision)))?.1)
    }

    fn proposal(&self, name: &str) -> anyhow::Result<String> {
        self.wait(self.registry.proposal(name))
    }

    fn publish(&self, bundle: &str, keys: &SignerKeys) -> anyhow::Result<Progress<Revision>> {
        self.wait(self.registry.publish(bundle, Some(keys), &self.actor))
    }

    fn sign(&self, name: &str, bundle: &str) -> anyhow::Result<Progress<Revision>> {
        self.wait(self.registry.sign(name, bundle, &self.actor))
    }

    fn trust(&self, name: &str, keys: &SignerKeys) -> anyhow::Result<Signers> {
        self.wait(self.registry.trust(name, keys, &self.actor))
    }

    fn trust_signed(&self, name: &str, request: &str) -> anyhow::Result<Progress<Signers>> {
        self.wait(self.registry.trust_signed(name, request, &self.actor))
    }
}
