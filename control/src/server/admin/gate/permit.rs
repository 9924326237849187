//! Permits: the right of a request to one operation, with the registry to carry it out on.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use keyswap_core::base::{Digest, UnixTime};

use super::operation::Op;
use super::person::Person;
use super::state::AdminState;
use crate::registry::{
    Actor, BudgetState, KeptObject, Listing, ObjectListing, Offboarded, Page, Payer, Reach, Registry,
    RegistryError, Result, Session, Token, UsageBy, UsageDetail, UsageQuery, UsageSummary, User,
};
use crate::server::problem::Problem;

/// A right to the operation `O`. Only the gate makes one. Reading is in [`Reader`], and each change is a method of the permit
/// for its operation alone.
pub(in crate::server::admin) struct Permit<O> {
    reader: Reader,
    actor: Actor,
    person: Arc<Person>,
    operation: PhantomData<fn() -> O>,
}

/// The part of the registry that a permit is for. Things beyond it are unknown.
#[derive(Clone)]
pub(in crate::server::admin) struct Reader {
    registry: Registry,
    reach: Reach,
}

impl<O: Op> Permit<O> {
    /// Returns the permit of a person, a problem if its role has no right to the operation.
    pub(super) fn of(state: &AdminState, person: &Arc<Person>) -> std::result::Result<Self, Problem> {
        let operation = O::OPERATION;
        let Some(reach) = person.reach(operation) else {
            let (role, words) = (person.role().name().name(), operation.words());
            let detail = if operation.reach(person.role()).is_some() {
                format!("an API key may not {words}: sign in")
            } else {
                format!("the role `{role}` may not {words}")
            };
            return Err(Problem::new(StatusCode::FORBIDDEN, "not_permitted", detail));
        };
        Ok(Self::within(state.registry(), person, reach))
    }

    fn within(registry: &Registry, person: &Arc<Person>, reach: Reach) -> Self {
        Self {
            reader: Reader { registry: registry.clone(), reach: reach.clone() },
            actor: person.actor(reach),
            person: Arc::clone(person),
            operation: PhantomData,
        }
    }
}

impl<O> Permit<O> {
    /// Returns the permit of the same person for another operation, `None` if its role has no right to it.
    pub(in crate::server::admin) fn other<P: Op>(&self) -> Option<Permit<P>> {
        let reach = self.person.reach(P::OPERATION)?;
        Some(Permit::within(&self.reader.registry, &self.person, reach))
    }

    /// Returns the sender of the request.
    pub(in crate::server::admin) fn person(&self) -> &Person {
        &self.person
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.reader.registry
    }

    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the open sessions of the person itself, none of a person that is not known by an email address.
    pub(in crate::server::admin) async fn own_sessions(&self) -> Result<Vec<Session>> {
        match self.person.email() {
            Some(email) => self.reader.registry.sessions(email).await,
            None => Ok(Vec::new()),
        }
    }
}

impl<O> Clone for Permit<O> {
    fn clone(&self) -> Self {
        Self {
            reader: self.reader.clone(),
            actor: self.actor.clone(),
            person: Arc::clone(&self.person),
            operation: PhantomData,
        }
    }
}

impl<O> Deref for Permit<O> {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl<O: Op, S: Sync> FromRequestParts<S> for Permit<O> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Problem> {
        // The gate has put it there.
        let detail = "the request did not pass the gate";
        let permit = parts.extensions.get::<Self>().cloned();
        permit.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "not_permitted", detail))
    }
}

impl Reader {
    pub(in crate::server::admin) async fn tokens(&self, listing: &Listing) -> Result<Page<Token>> {
        self.registry.tokens(&self.within(listing)).await
    }

    pub(in crate::server::admin) async fn token(&self, digest: &Digest) -> Result<Token> {
        let token = self.registry.token(digest).await?;
        let is_there = self.reach.has(token.owner.as_deref(), token.team.as_deref());
        is_there.then_some(token).ok_or(RegistryError::UnknownToken)
    }

    pub(in crate::server::admin) async fn users(&self, listing: &Listing) -> Result<Page<User>> {
        self.registry.users(&self.within(listing)).await
    }

    pub(in crate::server::admin) async fn user(&self, email: &str) -> Result<User> {
        let user = self.registry.user(email).await?;
        let is_there = self.reach.has(Some(&user.email), user.team.as_deref());
        is_there.then_some(user).ok_or(RegistryError::UnknownUser)
    }

    /// Returns the open sessions of a user in the part.
    pub(in crate::server::admin) async fn sessions(&self, email: &str) -> Result<Vec<Session>> {
        let user = self.user(email).await?;
        self.registry.sessions(&user.email).await
    }

    /// Returns what is in the part of the user and the tokens of an address. API keys are for actors with all in reach.
    pub(in crate::server::admin) async fn owned_by(&self, email: &str) -> Result<Offboarded> {
        let Offboarded { user, mut tokens, mut api_keys } = self.registry.owned_by(email).await?;
        tokens.retain(|token| self.reach.has(token.owner.as_deref(), token.team.as_deref()));
        let user = user.filter(|user| self.reach.has(Some(&user.email), user.team.as_deref()));
        api_keys.retain(|_| self.reach == Reach::All);
        Ok(Offboarded { user, tokens, api_keys })
    }

    pub(in crate::server::admin) async fn objects(
        &self,
        listing: &ObjectListing,
    ) -> Result<Page<KeptObject>> {
        let listing = ObjectListing { reach: self.reach.clone(), ..listing.clone() };
        self.registry.objects(&listing).await
    }

    pub(in crate::server::admin) async fn object(&self, digest: &Digest) -> Result<KeptObject> {
        let object = self.registry.object(digest).await?;
        let is_there = self.reach.has(object.owner.as_deref(), object.team.as_deref());
        is_there.then_some(object).ok_or(RegistryError::UnknownObject)
    }

    pub(in crate::server::admin) async fn budgets(&self, now: UnixTime) -> Result<Vec<BudgetState>> {
        self.registry.budgets(&self.reach, now).await
    }

    pub(in crate::server::admin) async fn budgets_of_policies(
        &self,
        limit: i64,
        now: UnixTime,
    ) -> Result<Vec<BudgetState>> {
        self.registry.budgets_of_policies(&self.reach, limit, now).await
    }

    pub(in crate::server::admin) async fn budget(
        &self,
        subject: &Payer,
        now: UnixTime,
    ) -> Result<Vec<BudgetState>> {
        self.check_payer(subject).await?;
        self.registry.budget(subject, now).await
    }

    pub(in crate::server::admin) async fn usage(
        &self,
        query: &UsageQuery,
        by: UsageBy,
        limit: u32,
    ) -> Result<UsageSummary> {
        self.registry.usage(&self.of(query), by, limit).await
    }

    pub(in crate::server::admin) async fn usage_details(
        &self,
        query: &UsageQuery,
        limit: u32,
    ) -> Result<Vec<UsageDetail>> {
        self.registry.usage_details(&self.of(query), limit).await
    }

    /// Checks that a subject of budgets is in the part.
    async fn check_payer(&self, subject: &Payer) -> Result<()> {
        let found = match (&self.reach, subject) {
            (Reach::All, _) => return Ok(()),
            (Reach::Person(own), Payer::Owner(email)) if own == email => return Ok(()),
            (reach, Payer::Team(team)) if reach.has(None, Some(team)) => return Ok(()),
            (_, Payer::Token(digest)) => self.token(digest).await.map(drop),
            (_, Payer::Owner(email)) => self.user(email).await.map(drop),
            (_, Payer::Team(_)) => Err(RegistryError::UnknownBudget),
        };
        match found {
            Err(RegistryError::UnknownToken | RegistryError::UnknownUser) => {
                Err(RegistryError::UnknownBudget)
            }
            found => found,
        }
    }

    fn within(&self, listing: &Listing) -> Listing {
        Listing { reach: self.reach.clone(), ..listing.clone() }
    }

    fn of(&self, query: &UsageQuery) -> UsageQuery {
        UsageQuery { reach: self.reach.clone(), ..query.clone() }
    }
}
