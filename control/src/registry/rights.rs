//! The rights of actors that have a part of the registry in reach.
//!
//! Each right is checked in the transaction of the change, so that nothing leaves the part in between. A thing beyond the part is
//! unknown to the actor. A change that would put a thing beyond the part is refused.

use keyswap_core::base::Digest;

use super::handle::Result;
use super::record::actor::Actor;
use super::record::budget::Payer;
use super::record::clock::now;
use super::record::draft::{NewToken, NewUser, Source, TokenPatch, ValidToken, check_team, normal};
use super::record::error::RegistryError;
use super::record::model::{Status, Token, User};
use super::record::rate_limit::RateLimit;
use super::record::reach::Reach;
use super::store::write::Write;

/// The most active tokens of a person that creates its own: one for each device and program, with room for rotations.
const MAX_OWN_ACTIVE: usize = 100;

/// The most tokens of a person that creates its own, with disabled and expired ones.
const MAX_OWN: usize = 1000;

const OTHER_TEAM: RegistryError = RegistryError::BeyondRole("name one of your own teams");

impl Write {
    /// Returns a token that an actor may change.
    pub(super) async fn token_of(&mut self, digest: &Digest, actor: &Actor) -> Result<Token> {
        let token = self.token(digest).await?;
        let is_there = actor.reach().has(token.owner.as_deref(), token.team.as_deref());
        is_there.then_some(token).ok_or(RegistryError::UnknownToken)
    }

    /// Returns a user that an actor may change.
    pub(super) async fn user_of(&mut self, email: &str, actor: &Actor) -> Result<User> {
        let user = self.user(email).await?;
        let is_there = actor.reach().has(Some(&user.email), user.team.as_deref());
        is_there.then_some(user).ok_or(RegistryError::UnknownUser)
    }

    /// Checks that an actor may change the budget of a subject.
    pub(super) async fn check_payer(&mut self, subject: &Payer, actor: &Actor) -> Result<()> {
        let found = match (actor.reach(), subject) {
            (Reach::All, _) => return Ok(()),
            (Reach::Teams(teams), Payer::Team(team)) => {
                teams.contains(team).then_some(()).ok_or(RegistryError::UnknownBudget)
            }
            (Reach::Teams(_), Payer::Token(digest)) => self.token_of(digest, actor).await.map(drop),
            (Reach::Teams(_), Payer::Owner(email)) => self.user_of(email, actor).await.map(drop),
            (Reach::Person(_), _) => Err(RegistryError::UnknownBudget),
        };
        match found {
            Err(RegistryError::UnknownToken | RegistryError::UnknownUser) => {
                Err(RegistryError::UnknownBudget)
            }
            found => found,
        }
    }

    /// Returns a new token as an actor may create it. What a team owner or a person leaves out has the values of the team or the
    /// person.
    pub(super) async fn token_by(
        &mut self,
        actor: &Actor,
        source: &Source,
        new: NewToken,
    ) -> Result<NewToken> {
        match actor.reach() {
            Reach::All => Ok(new),
            Reach::Teams(_) => {
                if matches!(source, Source::Digest(_)) {
                    return Err(RegistryError::BeyondRole("administrators name tokens by their SHA-256"));
                }
                self.check_owner(new.owner.as_deref(), None, actor).await?;
                Ok(NewToken { team: team_of(actor, new.team)?, ..new })
            }
            Reach::Person(email) => {
                if !matches!(source, Source::Mint) {
                    return Err(RegistryError::BeyondRole("a token of your own is generated"));
                }
                let user = self.own_user(email).await?;
                self.check_count(&user).await?;
                own_token(&user, new)
            }
        }
    }

    /// Checks that a token is new to the registry, so that it gets nothing of others. `is_named` is set where an administrator names it by
    /// its digest: a token that a policy had, or that was deleted, keeps its successors, its objects, its budget and its limit.
    pub(super) async fn check_new(&mut self, digest: &Digest, is_named: bool) -> Result<()> {
        match self.token(digest).await {
            Ok(_) => return Err(RegistryError::DuplicateToken),
            Err(RegistryError::UnknownToken) => {}
            Err(error) => return Err(error),
        }
        let is_taken = self.is_person(digest).await? || (!is_named && self.has_rows(digest).await?);
        (!is_taken).then_some(()).ok_or(RegistryError::PrincipalInUse)
    }

    /// Checks the owner that an actor gives a token: bindings and budgets of policies are for owners. A team owner names people of its
    /// teams, or leaves the owner as it is.
    pub(super) async fn check_owner(
        &mut self,
        owner: Option<&str>,
        present: Option<&str>,
        actor: &Actor,
    ) -> Result<()> {
        let Reach::Teams(_) = actor.reach() else { return Ok(()) };
        let email = owner.map(normal).unwrap_or_default();
        if email.is_empty() || present.is_some_and(|present| normal(present) == email) {
            return Ok(());
        }
        match self.user_of(&email, actor).await {
            Err(RegistryError::UnknownUser) => {
                Err(RegistryError::BeyondRole("the owner is a user of your teams: add the user first"))
            }
            found => found.map(drop),
        }
    }

    /// Returns a new user as an actor may create it, validated. A team owner adds no address that is in use outside of its teams: the user's
    /// record counts for all of them.
    pub(super) async fn user_by(&mut self, actor: &Actor, new: NewUser) -> Result<NewUser> {
        match actor.reach() {
            Reach::All => new.check(),
            Reach::Teams(_) => {
                let valid = NewUser { team: team_of(actor, new.team)?, ..new }.check()?;
                if self.is_used_beyond(&valid.email, actor.reach()).await? {
                    let why = "the address is in use outside of your teams: an administrator adds the user";
                    return Err(RegistryError::BeyondRole(why));
                }
                Ok(valid)
            }
            Reach::Person(_) => Err(RegistryError::BeyondRole("administrators and team owners add users")),
        }
    }

    /// Returns the successor of a token as an actor may create it. A person could have lost rights since the token was made, so its
    /// successor is a token that the person may create now.
    pub(super) async fn heir_by(&mut self, actor: &Actor, token: &Token) -> Result<ValidToken> {
        let heir = ValidToken {
            label: token.label.clone(),
            owner: token.owner.clone(),
            team: token.team.clone(),
            providers: token.providers.clone(),
            models: token.models.clone(),
            expires_at: token.own_expiry,
            rate_limit: token.rate_limit,
            certificate: token.certificate,
        };
        let Reach::Person(email) = actor.reach() else { return Ok(heir) };
        let user = self.own_user(email).await?;
        self.check_count(&user).await?;
        let own = NewToken {
            owner: heir.owner.clone(),
            team: heir.team.clone(),
            providers: heir.providers.clone(),
            models: heir.models.clone(),
            ..NewToken::default()
        };
        let own = own_token(&user, own)?;
        Ok(ValidToken {
            team: own.team,
            rate_limit: limit_of_heir(token.rate_limit, user.rate_limit)?,
            ..heir
        })
    }

    /// Checks that a person has a place for another token.
    async fn check_count(&mut self, user: &User) -> Result<()> {
        let (mut tokens, now) = (self.tokens_of(&user.email).await?, now());
        // Those that a source outside declares are none of the person's making.
        tokens.retain(|token| token.source.is_none());
        let active = tokens.iter().filter(|token| token.is_active(now)).count();
        let has_place = active < MAX_OWN_ACTIVE && tokens.len() < MAX_OWN;
        has_place.then_some(()).ok_or(RegistryError::TooManyTokens)
    }

    /// Returns the user that a person with self-service is.
    async fn own_user(&mut self, email: &str) -> Result<User> {
        match self.user(email).await {
            Err(RegistryError::UnknownUser) => {
                Err(RegistryError::BeyondRole("the registry has no user with your email address"))
            }
            found => found,
        }
    }
}

/// Checks a change of a token that is in reach. A person only disables own tokens: the rest is for those that gave the rights.
pub(super) fn check_patch(patch: &TokenPatch, actor: &Actor) -> Result<()> {
    match (actor.reach(), patch) {
        (Reach::Teams(_), TokenPatch { team, .. }) => check_move(team.as_ref(), actor),
        (Reach::All, _)
        | (
            Reach::Person(_),
            TokenPatch {
                version: _,
                label: None,
                owner: None,
                providers: None,
                models: None,
                team: None,
                status: None | Some(Status::Disabled),
                expires_at: None,
                rate_limit: None,
            },
        ) => Ok(()),
        (Reach::Person(_), _) => {
            Err(RegistryError::BeyondRole("you may create, disable, rotate and delete your tokens"))
        }
    }
}

/// Checks the team that a thing moves to, `None` if it stays where it is.
pub(super) fn check_move(team: Option<&Option<String>>, actor: &Actor) -> Result<()> {
    match (team, actor.reach()) {
        (None, _) | (_, Reach::All) => Ok(()),
        (Some(team), reach) => {
            let team = check_team(team.as_deref())?;
            reach.has(None, team.as_deref()).then_some(()).ok_or(OTHER_TEAM)
        }
    }
}

/// Checks that an actor may enable, disable or delete a user that is in reach. A team owner must not enable itself after others have
/// disabled it. To delete its user and add it anew would be the same.
pub(super) fn check_status(user: &User, actor: &Actor) -> Result<()> {
    let is_own = matches!(actor.reach(), Reach::Teams(_)) && normal(actor.name()) == user.email;
    (!is_own)
        .then_some(())
        .ok_or(RegistryError::BeyondRole("others enable, disable and delete the user that you are"))
}

/// Returns the team of a new thing: the one that is named, or the only one of the actor.
fn team_of(actor: &Actor, named: Option<String>) -> Result<Option<String>> {
    let Reach::Teams(teams) = actor.reach() else { return Ok(named) };
    let mut all = teams.iter();
    let team = match (check_team(named.as_deref())?, all.next(), all.next()) {
        (Some(named), ..) => Some(named),
        (None, Some(only), None) => Some(only.clone()),
        _ => None,
    };
    team.filter(|team| teams.contains(team)).map(Some).ok_or(OTHER_TEAM)
}

/// Returns a new token of a user: with the owner and the team of the user, and no right that the user lacks.
fn own_token(user: &User, new: NewToken) -> Result<NewToken> {
    let beyond = |why| Err(RegistryError::BeyondRole(why));
    let named = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if user.status != Status::Active {
        return beyond("you are disabled in the registry");
    }
    if named(&new.owner).is_some_and(|owner| !owner.eq_ignore_ascii_case(&user.email)) {
        return beyond("you are the owner of your tokens");
    }
    if named(&new.team).is_some_and(|team| Some(&team) != user.team.as_ref()) {
        return beyond("your tokens are in your team");
    }
    if new.providers.iter().any(|entry| !user.providers.contains(entry)) {
        return beyond("your tokens have no other providers than you");
    }
    if !are_within(&new.models, &user.models) {
        return beyond("your tokens have no other models than you");
    }
    if new.rate_limit.is_some_and(|limit| Some(limit) != user.rate_limit) {
        return beyond("your tokens have your rate limit");
    }
    let or = |given: Vec<String>, own: &Vec<String>| if given.is_empty() { own.clone() } else { given };
    Ok(NewToken {
        owner: Some(user.email.clone()),
        team: user.team.clone(),
        providers: or(new.providers, &user.providers),
        models: or(new.models, &user.models),
        rate_limit: user.rate_limit,
        ..new
    })
}

/// Returns the limit of the successor of a token: the token's own, which an administrator may have given it, unless that of the person is
/// the stricter one.
fn limit_of_heir(own: Option<RateLimit>, of_user: Option<RateLimit>) -> Result<Option<RateLimit>> {
    match (own, of_user) {
        (Some(own), Some(of_user)) if own.is_within(of_user) => Ok(Some(own)),
        (Some(own), Some(of_user)) if !of_user.is_within(own) => {
            Err(RegistryError::BeyondRole("your tokens have your rate limit"))
        }
        (own, of_user) => Ok(of_user.or(own)),
    }
}

/// Returns true if a list of models allows none that the list of a user does not: each entry is one of the user's, and what
/// the user's list takes away is taken away.
pub(crate) fn are_within(models: &[String], of_user: &[String]) -> bool {
    let is_exception = |model: &String| model.starts_with('!');
    let allows = |model: &String| is_exception(model) || of_user.contains(model);
    let takes_all_away =
        || of_user.iter().filter(|model| is_exception(model)).all(|model| models.contains(model));
    models.is_empty() || of_user == ["*"] || (models.iter().all(allows) && takes_all_away())
}

#[cfg(test)]
mod tests {
    use super::are_within;

    #[test]
    fn a_list_of_models_is_within_another_only_if_it_surely_is() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (models, of_user, expect) in [
            ("", "gpt-4o", true),
            ("gpt-4o", "*", true),
            ("gpt-4o", "gpt-4o gpt-4.1", true),
            ("gpt-4o !gpt-4o-mini", "gpt-4o", true),
            ("gpt-4o", "gpt-*", false),
            ("*", "gpt-4o", false),
            ("gpt-4o o1", "gpt-4o", false),
            ("* !o1", "* !o1", true),
            ("*", "* !o1", false),
            ("o1", "* !o1", false),
        ] {
            assert_eq!(are_within(&list(models), &list(of_user)), expect, "{models:?} {of_user:?}");
        }
    }
}
