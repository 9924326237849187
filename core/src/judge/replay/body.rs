//! The verdict on the body of a logged request. The log has no body, only the reason of a refusal and the model's name in
//! the prices. So the model is judged under every name that it may have had and that a rule tells apart.

use super::logged::{LoggedRequest, NotReplayable, ReplayVerdict};
use super::records::Records;
use crate::answer::Reason;
use crate::judge::admit::ModelRule;
use crate::judge::engine::Engine;
use crate::judge::tell::ALLOWED;
use crate::provider::model::provider_ids;

/// The verdict on the head of a request.
pub(super) struct HeadVerdict {
    pub(super) provider: String,
    /// # Errors
    /// The reason of the refusal.
    pub(super) passed: Result<Passed, Reason>,
}

/// The traits of a request whose head is admitted.
pub(super) struct Passed {
    /// The rule on the model in the body; `None` where the body decides nothing.
    pub(super) models: Option<ModelRule>,
    /// Set where the request computes, so that it is metered.
    pub(super) is_metered: bool,
}

impl HeadVerdict {
    pub(super) fn is_metered(&self) -> bool {
        self.passed.as_ref().is_ok_and(|passed| passed.is_metered)
    }

    fn models(&self) -> Option<&ModelRule> {
        self.passed.as_ref().ok()?.models.as_ref()
    }
}

impl Engine {
    /// Returns whether the log agrees with the verdict on the head: it has that reason, or one that the body can give.
    pub(super) fn agrees(&self, logged: &LoggedRequest<'_>, verdict: &HeadVerdict) -> bool {
        let rule = verdict.models();
        let holds = match (&verdict.passed, logged.reason_of_body()) {
            (Err(reason), _) => reason.code() == logged.reason,
            (Ok(_), None) => logged.reason == ALLOWED || logged.would_pass(),
            (Ok(_), Some(Reason::ProviderNotAllowed)) => rule.is_some_and(ModelRule::names_providers),
            (Ok(_), Some(Reason::ModelNotAllowed)) => rule.is_some_and(ModelRule::restricts),
            (Ok(_), Some(Reason::ModelMissing)) => rule.is_some(),
            (Ok(_), Some(Reason::ModelUnpriced)) => self.refuses_unpriced(),
            (Ok(_), Some(_)) => rule.is_some() || self.refuses_unpriced(),
        };
        holds && verdict.provider == logged.provider
    }

    /// Returns the other policy's verdict on a request, whose head both have judged.
    pub(super) fn judge_body(
        &self,
        logged: &LoggedRequest<'_>,
        before: &HeadVerdict,
        after: &HeadVerdict,
        other: &Self,
        records: &Records,
    ) -> Result<ReplayVerdict, NotReplayable> {
        let reason = match &after.passed {
            Err(reason) => reason.code(),
            Ok(passed) => {
                let refused = logged.reason_of_body().filter(|_| before.passed.is_ok());
                let reason = match refused {
                    Some(reason) => other.still_refuses(reason, before.models(), passed)?,
                    None => self.refuses_model(logged, before.models(), passed.models.as_ref())?,
                };
                let unpriced = || {
                    self.refuses_price(logged, &after.provider, other, records)
                        .then_some(Reason::ModelUnpriced)
                };
                let reason = reason.or_else(|| unpriced().filter(|_| passed.is_metered));
                reason.map_or(ALLOWED, Reason::code)
            }
        };
        Ok(ReplayVerdict { reason, provider: after.provider.clone() })
    }

    /// Returns the reason for which a request is refused that was refused by its body.
    fn still_refuses(
        &self,
        reason: Reason,
        before: Option<&ModelRule>,
        passed: &Passed,
    ) -> Result<Option<Reason>, NotReplayable> {
        let rule = passed.models.as_ref();
        let refuses_unpriced = passed.is_metered && self.refuses_unpriced();
        match reason {
            Reason::ModelNotAllowed | Reason::ProviderNotAllowed => match rule {
                None if refuses_unpriced => Err(NotReplayable::Model),
                None => Ok(None),
                Some(rule) if before.is_some_and(|before| before.is_same(rule)) => Ok(Some(reason)),
                Some(_) => Err(NotReplayable::Model),
            },
            Reason::ModelMissing => Ok(rule.map(|_| reason)),
            Reason::ModelUnpriced if rule.is_some() || refuses_unpriced => Err(NotReplayable::Model),
            Reason::ModelUnpriced => Ok(None),
            // A body that cannot be read is refused wherever something depends on it.
            _ => Ok(Some(reason).filter(|_| rule.is_some() || refuses_unpriced)),
        }
    }

    /// Returns the reason for which the model of an admitted request is refused.
    fn refuses_model(
        &self,
        logged: &LoggedRequest<'_>,
        before: Option<&ModelRule>,
        after: Option<&ModelRule>,
    ) -> Result<Option<Reason>, NotReplayable> {
        let Some(rule) = after else { return Ok(None) };
        if before.is_some_and(|before| before.is_same(rule)) {
            return Ok(None);
        }
        let mut names = self.names(logged, before, rule);
        names.retain(|name| before.is_none_or(|before| before.check_model(name).is_ok()));
        let mut verdicts = names.iter().map(|name| rule.check_model(name).err().map(|error| error.reason()));
        let verdict = verdicts.next().ok_or(NotReplayable::Model)?;
        if verdicts.all(|another| another == verdict) { Ok(verdict) } else { Err(NotReplayable::Ambiguous) }
    }

    /// Returns the names that the model of a request may have had: that in the prices, and those of the same price that a
    /// rule has.
    fn names(
        &self,
        logged: &LoggedRequest<'_>,
        before: Option<&ModelRule>,
        after: &ModelRule,
    ) -> Vec<String> {
        let Some(model) = logged.known_model() else { return Vec::new() };
        let price =
            |name: &str| self.policy.prices.find(logged.provider, name).map(|found| found.name.to_owned());
        let is_it = |name: &String| price(name).is_some_and(|name| name == model);
        let mut names = vec![model.to_owned()];
        if after.names_providers() || before.is_some_and(ModelRule::names_providers) {
            names.extend(provider_ids().map(|id| format!("{id}/{model}")).filter(is_it));
        }
        for entry in before.into_iter().chain([after]).flat_map(ModelRule::entries) {
            let bare = entry.replace('*', "");
            // The beginning of a longer name, such as one with a date.
            let begins = entry.contains('*') && bare.len() > model.len() && bare.starts_with(model);
            if begins && price(&bare).is_none() {
                names.push(bare.clone());
            }
            names.extend([bare, entry.replacen('*', model, 1)].into_iter().filter(is_it));
        }
        names
    }
}
