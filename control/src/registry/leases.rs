//! Leases of budgets: the registry hands out slices of a window, and data planes spend them without asking.
//!
//! - `granted` and `spent` are sums since a lease began, so a repeated or lost call counts nothing twice.
//! - Live leases together never hold more than the window has. Only spending that data planes tell can go beyond it.
//! - A lease that expires gives back its rest. What is told of it later still counts, in its own window.
//! - A window ends by the calendar: then a new lease begins, with a new id.

use std::sync::atomic::Ordering;

use keyswap_core::base::UnixTime;

use super::handle::{Registry, Result};
use super::record::amount::add;
use super::record::budget::{Budget, Payer};
use super::record::error::RegistryError;
use super::record::lease::{LIFETIME_SECONDS, Lease, LeaseRequest, LeaseState, Leased, Room};
use super::record::window::Window;
use super::store::budgets::Opened;
use super::store::ledger::Ledger;

/// The subjects of one request: a token, its owner, its team.
const MAX_SUBJECTS: usize = 3;

/// The leases that a window keeps. Beyond, the oldest expired ones are settled, and no lease is added to live ones.
const MAX_LEASES: usize = 256;

/// The windows that are kept in all: a data plane that invents subjects fills no disk.
const MAX_WINDOWS: u64 = 1_000_000;

/// The clocks of replicas may differ by this much. A lease of a window that begins within it is renewed.
const MAX_SKEW_SECONDS: i64 = 60;

/// The time for which an expired lease is kept, so that what is told late counts.
const KEPT_SECONDS: i64 = 86_400;

/// The subjects whose old leases are settled in one run.
const MAX_SETTLED: i64 = 1000;

impl Registry {
    /// Renews or begins the leases of a data plane, for at most three subjects. `node` names the data plane for people.
    /// The clock is read under the locks of the subjects, so on one machine times do not go back between two leases.
    pub async fn lease(
        &self,
        node: &str,
        requests: &[LeaseRequest],
        clock: impl Fn() -> UnixTime,
    ) -> Result<Vec<Leased>> {
        let subjects: Vec<&Payer> = requests.iter().map(|request| &request.subject).collect();
        let is_repeated =
            |(index, subject): (usize, &&Payer)| subjects.iter().take(index).any(|s| s == subject);
        if requests.is_empty()
            || requests.len() > MAX_SUBJECTS
            || subjects.iter().enumerate().any(is_repeated)
        {
            let expected = format!("expected 1 to {MAX_SUBJECTS} different subjects");
            return Err(RegistryError::Invalid { field: "leases", expected });
        }
        let mut ledger = self.0.ledger(&subjects).await?;
        let now = clock();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(self.lease_one(&mut ledger, request, node, now).await?);
        }
        ledger.commit().await?;
        Ok(answers)
    }

    async fn lease_one(
        &self,
        ledger: &mut Ledger,
        request: &LeaseRequest,
        node: &str,
        now: UnixTime,
    ) -> Result<Leased> {
        let subject = &request.subject;
        let mut held = match &request.id {
            Some(id) => ledger.lease(subject, id).await?,
            None => None,
        };
        if let Some(lease) = &mut held {
            lease.spent = lease.spent.max(request.spent);
            ledger.put_lease(subject, lease).await?;
        }
        let budget = ledger.budget(subject).await?.or_else(|| request.budget.clone());
        let Some(budget) = budget else {
            end(ledger, subject, held, now).await?;
            return Ok(Leased::without_budget(subject));
        };
        let window = window_of(&budget, held.as_ref(), now);
        if let Some(other) = held.take_if(|lease| lease.window != window || lease.unit != budget.unit) {
            end(ledger, subject, Some(other), now).await?;
        }
        let settled = self.open_window(ledger, subject, &budget, window).await?;
        let mut others = ledger.leases(subject, budget.unit, window).await?;
        others.retain(|lease| held.as_ref().is_none_or(|held| held.id != lease.id));
        let room = Room::of(budget.amount, settled, &others, now);
        if let Some(late) = held.take_if(|lease| !lease.is_live(now) && !room.fits(lease.held())) {
            // Others hold the rest by now. What it spent counts from here on as that of any expired lease.
            others.push(late);
        }
        let room = Room::of(budget.amount, settled, &others, now);
        if held.is_none() && request.need > 0 && make_place(ledger, subject, &others, now).await? {
            held = Some(Lease::begin(&budget, window, node)?);
        }
        let expires_in = LIFETIME_SECONDS.min(window.ends_at.0.saturating_sub(now.0)).max(1);
        if let Some(lease) = &mut held {
            lease.granted = add(lease.granted, room.slice(lease.held(), request.need));
            lease.expires_at = UnixTime(now.0.saturating_add(expires_in));
            ledger.put_lease(subject, lease).await?;
        }
        Ok(Leased {
            subject: subject.clone(),
            id: held.as_ref().map(|lease| lease.id.clone()),
            unit: Some(budget.unit),
            state: Some(LeaseState {
                limit: budget.amount,
                granted: held.as_ref().map_or(0, |lease| lease.granted),
                remaining: room.free(held.as_ref().map_or(0, |lease| lease.spent)),
                resets_at: window.ends_at,
            }),
            expires_in,
        })
    }

    /// Opens the window with the budget's present amount. Returns what leases that are not kept spent in it.
    async fn open_window(
        &self,
        ledger: &mut Ledger,
        subject: &Payer,
        budget: &Budget,
        window: Window,
    ) -> Result<i64> {
        let known = ledger.settled(subject, budget.unit, window).await?;
        if known.is_none() && self.0.open_windows.fetch_add(1, Ordering::Relaxed) >= MAX_WINDOWS {
            return Err(RegistryError::TooManySubjects);
        }
        let settled = known.unwrap_or(0);
        let (subject, budget) = (subject.clone(), budget.clone());
        ledger.put_window(&Opened { subject, budget, window, settled }).await?;
        Ok(settled)
    }

    /// Settles leases that expired a day ago, and forgets windows that ended a day ago.
    pub(super) async fn settle_old_leases(&self, now: UnixTime) -> Result<()> {
        let before = UnixTime(now.0.saturating_sub(KEPT_SECONDS));
        for subject in self.0.subjects_with_leases_before(before, MAX_SETTLED).await? {
            let mut ledger = self.0.ledger(&[&subject]).await?;
            for lease in ledger.leases_before(&subject, before).await? {
                settle(&mut ledger, &subject, &lease).await?;
            }
            ledger.commit().await?;
        }
        self.0.forget_windows(before).await?;
        let open = u64::try_from(self.0.count_windows().await?).unwrap_or(0);
        self.0.open_windows.store(open, Ordering::Relaxed);
        Ok(())
    }
}

impl Leased {
    fn without_budget(subject: &Payer) -> Self {
        Self { subject: subject.clone(), id: None, unit: None, state: None, expires_in: LIFETIME_SECONDS }
    }
}

impl Lease {
    /// Returns a lease with nothing granted. Its id is random, since ids of different replicas must not meet.
    fn begin(budget: &Budget, window: Window, node: &str) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self {
            id: format!("{:032x}", u128::from_be_bytes(random)),
            unit: budget.unit,
            window,
            node: node.to_owned(),
            granted: 0,
            spent: 0,
            expires_at: UnixTime(0),
        })
    }
}

/// Returns the window of a budget now. A lease of the next window, which a replica with a clock ahead granted, counts.
fn window_of(budget: &Budget, held: Option<&Lease>, now: UnixTime) -> Window {
    let soon = UnixTime(now.0.saturating_add(MAX_SKEW_SECONDS));
    let of_held =
        held.map(|lease| lease.window).filter(|window| now < window.starts_at && window.starts_at <= soon);
    match of_held {
        Some(window) if budget.window(window.starts_at) == window => window,
        _ => budget.window(now),
    }
}

/// Ends a lease: its rest is free from now on.
async fn end(ledger: &mut Ledger, subject: &Payer, lease: Option<Lease>, now: UnixTime) -> Result<()> {
    if let Some(mut lease) = lease.filter(|lease| lease.is_live(now)) {
        lease.expires_at = now;
        ledger.put_lease(subject, &lease).await?;
    }
    Ok(())
}

/// Settles the oldest expired leases until there is a place for another one. Returns false if too many are live.
async fn make_place(ledger: &mut Ledger, subject: &Payer, others: &[Lease], now: UnixTime) -> Result<bool> {
    let mut kept = others.len();
    for lease in others.iter().filter(|lease| !lease.is_live(now)) {
        if kept < MAX_LEASES {
            break;
        }
        settle(ledger, subject, lease).await?;
        kept = kept.saturating_sub(1);
    }
    Ok(kept < MAX_LEASES)
}

/// Moves the spending of an expired lease to its window, and deletes the lease.
async fn settle(ledger: &mut Ledger, subject: &Payer, lease: &Lease) -> Result<()> {
    if let Some(settled) = ledger.settled(subject, lease.unit, lease.window).await? {
        ledger.put_settled(subject, lease, add(settled, lease.spent)).await?;
    }
    ledger.delete_lease(&lease.id).await
}
