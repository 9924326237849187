//! Budgets that administrators set, and the state of all budgets.

use keyswap_core::base::{Digest, UnixTime};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::amount::add;
use super::record::budget::{Budget, BudgetState, Payer, SetBy};
use super::record::error::RegistryError;
use super::record::reach::Reach;
use super::store::budgets::Opened;
use super::store::write::Write;

/// The most budgets in one answer.
const MAX_LISTED: i64 = 1000;

impl Registry {
    /// Sets the budget of a subject. A budget that is the same already makes no entry in the audit log.
    ///
    /// The spending counts on if unit, period and time zone stay. Otherwise another window begins, with nothing spent.
    pub async fn set_budget(&self, subject: &Payer, budget: &Budget, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        write.check_payer(subject, actor).await?;
        let before = write.budget(subject).await?;
        if before.as_ref() == Some(budget) {
            return Ok(());
        }
        write.put_budget(subject, budget).await?;
        let detail = json!({"from": before, "to": budget});
        write.audit(actor, "budget.set", &subject.to_string(), &detail).await?;
        write.commit().await
    }

    /// Deletes the budget of a subject: the policy's own budget applies again, if there is one.
    pub async fn delete_budget(&self, subject: &Payer, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        write.check_payer(subject, actor).await?;
        let before = write.budget(subject).await?.ok_or(RegistryError::UnknownBudget)?;
        write.delete_budget(subject).await?;
        write.audit(actor, "budget.delete", &subject.to_string(), &json!({"from": before})).await?;
        write.commit().await
    }

    /// Returns the states of a subject's budgets: the one that an administrator set, or those that data planes bring.
    pub async fn budget(&self, subject: &Payer, now: UnixTime) -> Result<Vec<BudgetState>> {
        if let Some(budget) = self.0.budget(subject).await? {
            return Ok(vec![self.state_of(subject, budget, now).await?]);
        }
        let account = self.0.account(subject, None).await?;
        let opened = self.0.windows(&account, now).await?;
        self.states(subject, opened, now).await
    }

    /// Returns the state of the budgets that administrators set in a part of the registry, at most 1000, in the order of their
    /// subjects.
    pub async fn budgets(&self, reach: &Reach, now: UnixTime) -> Result<Vec<BudgetState>> {
        let mut states = Vec::new();
        for (subject, budget) in self.0.budgets(reach, MAX_LISTED).await? {
            states.push(self.state_of(&subject, budget, now).await?);
        }
        Ok(states)
    }

    /// Returns the states of budgets of owners and teams in a part of the registry that data planes bring from their policy.
    pub async fn budgets_of_policies(
        &self,
        reach: &Reach,
        limit: i64,
        now: UnixTime,
    ) -> Result<Vec<BudgetState>> {
        let mut states = Vec::new();
        for opened in self.0.shared_windows(reach, now, limit).await? {
            if self.0.budget(&opened.subject).await?.is_none() {
                states.append(&mut self.states(&opened.subject.clone(), vec![opened], now).await?);
            }
        }
        Ok(states)
    }

    /// Returns the number of leases that data planes hold.
    pub async fn live_leases(&self, now: UnixTime) -> Result<i64> {
        self.0.live_leases(now).await
    }

    /// Returns the state of a budget that an administrator set: of its present window, or of one that nothing was asked for
    /// in.
    async fn state_of(&self, subject: &Payer, budget: Budget, now: UnixTime) -> Result<BudgetState> {
        let account = self.0.account(subject, None).await?;
        let opened = self.0.windows(&account, now).await?;
        let window = budget.window(now);
        let is_open = |opened: &Opened| opened.budget.unit == budget.unit && opened.window == window;
        let settled = opened.into_iter().find(is_open).map_or(0, |opened| opened.settled);
        self.state(subject, Opened { subject: account, budget, window, settled }, SetBy::Registry, now).await
    }

    async fn states(&self, subject: &Payer, opened: Vec<Opened>, now: UnixTime) -> Result<Vec<BudgetState>> {
        let mut states = Vec::new();
        for opened in opened {
            states.push(self.state(subject, opened, SetBy::Policy, now).await?);
        }
        Ok(states)
    }

    /// Returns the state of a subject in a window, which may be that of its account.
    async fn state(
        &self,
        subject: &Payer,
        opened: Opened,
        set_by: SetBy,
        now: UnixTime,
    ) -> Result<BudgetState> {
        let leases = self.0.leases_of(&opened).await?;
        let spent = leases.iter().fold(opened.settled, |sum, lease| add(sum, lease.spent));
        let used = leases.iter().fold(opened.settled, |sum, lease| add(sum, lease.used(now)));
        Ok(BudgetState {
            subject: subject.clone(),
            set_by,
            unit: opened.budget.unit,
            limit: opened.budget.amount,
            budget: opened.budget,
            spent,
            leased: used.saturating_sub(spent).max(0),
            resets_at: opened.window.ends_at,
        })
    }
}

impl Write {
    /// Gives the successor of a token the budget of the token, with an entry in the audit log.
    pub(super) async fn copy_budget(&mut self, from: &Digest, to: &Digest, actor: &Actor) -> Result<()> {
        let (from, to) = (Payer::Token(*from), Payer::Token(*to));
        let Some(budget) = self.budget(&from).await? else { return Ok(()) };
        self.put_budget(&to, &budget).await?;
        let detail = json!({"from": null, "to": budget, "predecessor": from});
        self.audit(actor, "budget.set", &to.to_string(), &detail).await
    }
}
