//! The operations of a registry that subcommands call, the same for a database and for a server.

use std::time::Duration;

use keyswap_core::base::{Digest, UnixTime};

use crate::registry::{
    AdminRole, Adopted, ApiKey, Budget, BudgetState, Created, Credential, Holder, KeptObject, KnownToken,
    Listing, Moved, NewApiKey, NewCredential, NewToken, NewUser, ObjectKey, ObjectListing, Offboarded, Page,
    Payer, PolicyStatus, Progress, Revision, Role, Rotation, Session, SignerKeys, Signers, Source, Token,
    TokenPatch, UsageBy, UsageDetail, UsageQuery, UsageSummary, User, UserPatch,
};

/// A registry: a database or a server. Errors are worded for the user of the command.
pub(in crate::command) trait Operations {
    fn create_token(&self, source: Source, new: NewToken) -> anyhow::Result<Created>;
    /// Imports all of the tokens or none. Returns the tokens that are new to the registry.
    fn import_tokens(&self, tokens: Vec<KnownToken>) -> anyhow::Result<Vec<Token>>;
    fn token(&self, digest: &Digest) -> anyhow::Result<Token>;
    fn tokens(&self, listing: &Listing) -> anyhow::Result<Page<Token>>;
    fn update_token(&self, digest: &Digest, patch: TokenPatch) -> anyhow::Result<Token>;
    fn rotate_token(&self, digest: &Digest, grace: Duration) -> anyhow::Result<Rotation>;
    fn delete_token(&self, digest: &Digest) -> anyhow::Result<()>;

    /// Returns the user and the tokens of an address.
    fn owned_by(&self, email: &str) -> anyhow::Result<Offboarded>;
    /// Disables the user and the tokens of an address. Returns what was active until now.
    fn offboard(&self, email: &str) -> anyhow::Result<Offboarded>;

    fn create_user(&self, new: NewUser) -> anyhow::Result<User>;
    fn user(&self, email: &str) -> anyhow::Result<User>;
    fn users(&self, listing: &Listing) -> anyhow::Result<Page<User>>;
    fn update_user(&self, email: &str, patch: UserPatch) -> anyhow::Result<User>;
    fn delete_user(&self, email: &str) -> anyhow::Result<()>;

    /// Returns the open sessions of a user.
    fn sessions(&self, email: &str) -> anyhow::Result<Vec<Session>>;
    fn end_session(&self, sid: &str) -> anyhow::Result<()>;

    fn create_credential(&self, name: &str, role: Role) -> anyhow::Result<NewCredential>;
    fn credentials(&self) -> anyhow::Result<Vec<Credential>>;
    fn revoke_credential(&self, digest: &Digest) -> anyhow::Result<()>;

    fn create_api_key(&self, name: &str, role: AdminRole, expires_at: UnixTime) -> anyhow::Result<NewApiKey>;
    fn api_keys(&self) -> anyhow::Result<Vec<ApiKey>>;
    fn revoke_api_key(&self, digest: &Digest) -> anyhow::Result<()>;

    /// Returns the budgets that administrators set, and those of owners and teams that data planes bring.
    fn budgets(&self) -> anyhow::Result<Vec<BudgetState>>;
    /// Returns the budgets of a subject.
    fn budget(&self, subject: &Payer) -> anyhow::Result<Vec<BudgetState>>;
    /// Sets the budget of a subject. Returns its state.
    fn set_budget(&self, subject: &Payer, budget: &Budget) -> anyhow::Result<Vec<BudgetState>>;
    fn delete_budget(&self, subject: &Payer) -> anyhow::Result<()>;

    fn objects(&self, listing: &ObjectListing) -> anyhow::Result<Page<KeptObject>>;
    fn object(&self, digest: &Digest) -> anyhow::Result<KeptObject>;
    /// Gives objects of one provider that have no holder to one.
    fn adopt_objects(
        &self,
        keys: &[ObjectKey],
        kind: Option<&str>,
        holder: &Holder,
    ) -> anyhow::Result<Adopted>;
    fn transfer_object(&self, digest: &Digest, to: &Holder) -> anyhow::Result<KeptObject>;
    /// Gives a part of the objects of a holder to another one.
    fn transfer_objects(&self, from: &Holder, to: &Holder) -> anyhow::Result<Moved>;
    fn forget_object(&self, digest: &Digest) -> anyhow::Result<()>;

    /// Returns sums of usage, at most `limit` lines.
    fn usage(&self, query: &UsageQuery, by: UsageBy, limit: u32) -> anyhow::Result<UsageSummary>;
    /// Returns usage by day, caller and model, at most `limit` rows.
    fn usage_details(&self, query: &UsageQuery, limit: u32) -> anyhow::Result<Vec<UsageDetail>>;

    /// Returns the newest revision of every policy.
    fn policies(&self) -> anyhow::Result<Vec<Revision>>;
    fn policy(&self, name: &str) -> anyhow::Result<PolicyStatus>;
    /// Returns the signed bundle of a revision.
    fn bundle(&self, name: &str, revision: i64) -> anyhow::Result<String>;
    /// Returns the signed bundle that waits for signatures.
    fn proposal(&self, name: &str) -> anyhow::Result<String>;
    /// Publishes or proposes a bundle. The keys are registered with the first bundle of a name.
    fn publish(&self, bundle: &str, keys: &SignerKeys) -> anyhow::Result<Progress<Revision>>;
    /// Adds a signature to the bundle that waits for signatures.
    fn sign(&self, name: &str, bundle: &str) -> anyhow::Result<Progress<Revision>>;
    /// Registers the keys of a policy's name. A server does not do this.
    fn trust(&self, name: &str, keys: &SignerKeys) -> anyhow::Result<Signers>;
    /// Changes the keys of a policy's name as a registered key has signed it, or proposes the change.
    fn trust_signed(&self, name: &str, request: &str) -> anyhow::Result<Progress<Signers>>;
}

/// Collects items from as many pages as needed, at most `most` items.
pub(in crate::command) fn collect<T>(
    mut listing: Listing,
    most: usize,
    next_page: impl Fn(&Listing) -> anyhow::Result<Page<T>>,
) -> anyhow::Result<Page<T>> {
    let mut all = Page { items: Vec::new(), next: None, total: 0 };
    loop {
        let missing = most.saturating_sub(all.items.len());
        listing.limit = Some(u32::try_from(missing).unwrap_or(u32::MAX));
        let page = next_page(&listing)?;
        let is_over = page.next.is_none() || page.items.is_empty();
        all.items.extend(page.items);
        (all.next, all.total) = (page.next, page.total);
        if is_over || all.items.len() >= most {
            all.items.truncate(most);
            return Ok(all);
        }
        listing.after = all.next;
    }
}
