//! The second look at an admitted caller, whose exchange goes on: its right may have been taken away since.
//!
//! The look reads records only. What the caller presented is not kept.

use std::sync::Arc;

use super::authenticator::Authenticator;
use super::jwt::models;
use super::verified_token::VerifiedToken;
use crate::answer::CheckError;
use crate::identity::jwt::{Conditions, Email, JwtError, Principals};
use crate::identity::{CallerRecord, Models, Scope};
use crate::judge::progress::{Admitted, Context, Exit, Means, Progress, UsableModels};
use crate::services::registry::LookupKey;

impl Authenticator {
    /// Judges an admitted caller by the records of this moment, as its next request would be. The dates of an identity
    /// JWT do not count: it was valid when the exchange began.
    pub(crate) fn look_again<'a>(
        &'a self,
        admitted: &'a Admitted,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<(), Exit<'a>> {
        let (scope, models) = match &admitted.means {
            Means::Token(digest) => {
                let record = self.find_token(LookupKey::Known(*digest), context, progress)?;
                check(&record, context)?;
                (record.scope.clone(), record.models.clone())
            }
            Means::Identity { issuer, person, rule } => {
                self.rights_of_identity((issuer, rule), person.as_ref(), context, progress)?
            }
        };
        let open = scope.classes(&admitted.provider);
        let is_same = |usable: &UsableModels| usable.are(&models, &self.policy.model_groups);
        match admitted.class {
            class if open.has(class) && admitted.models.as_ref().is_none_or(is_same) => Ok(()),
            class if open.has(class) => Err(CheckError::ModelNotAllowed.into()),
            _ if open.is_empty() => Err(CheckError::OutOfScope(&admitted.provider).into()),
            class => Err(CheckError::ClassOutOfScope(class).into()),
        }
    }

    /// Returns the scope and the models of an identity. Its claims are not kept, so a rule is found again by its conditions. Where
    /// the policy of this moment has no such rule, the exchange ends.
    fn rights_of_identity<'a>(
        &'a self,
        (issuer, rule): (&str, &Conditions),
        person: Option<&Email>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<(Scope, Models), Exit<'a>> {
        let authority = self.policy.client_certificates.iter().find(|other| other.name() == issuer);
        let issuer = self.policy.issuers().iter().find(|other| other.name() == issuer);
        let (name, rights, principals) = match (issuer, authority) {
            (Some(issuer), _) => (issuer.name(), issuer.rights(), issuer.principals()),
            (None, Some(authority)) => (authority.name(), authority.rights(), Principals::Any),
            (None, None) => return Err(CheckError::Jwt(JwtError::Issuer).into()),
        };
        let rule = rights.iter().find(|other| other.when == *rule).ok_or(CheckError::NoRule(name))?;
        let person = match (principals, person) {
            (_, None) => None,
            (Principals::Known, Some(email)) => Some(self.find_person(email, context, progress)?),
            (Principals::Any, Some(email)) => self.find_bounds(email, context, progress)?,
        };
        if let Some(person) = &person {
            check(person, context)?;
        }
        Ok((self.scope(rule, person.as_deref()), models(rule, person.as_deref())))
    }
}

/// Checks a record again. The connection is the one that was judged, so its certificate is not asked for.
fn check<'a>(record: &Arc<CallerRecord>, context: &Context<'a, '_>) -> Result<(), CheckError<'a>> {
    VerifiedToken::judge(record, || record.certificate, context.now.unix()).map(drop)
}
