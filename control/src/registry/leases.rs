//! Leases of budgets: the registry hands out slices of a window, and data planes spend them without asking.
//!
//! - `granted`, `spent` and `returned` are sums since a lease began, so a repeated or lost call counts nothing twice.
//! - Live leases together never hold more than the window has. Only spending that data planes tell can go beyond it.
//! - A lease that expires gives back its rest. What is told of it later still counts, in its own window.
//! - A window ends by the calendar: then a new lease begins, with a new id.
//! - The tokens of a line of rotations spend one window, also in a grace period: a rotation renews no budget.

use std::sync::atomic::Ordering;

use keyswap_core::base::UnixTime;

use super::handle::{Registry, Result};
use super::record::amount::add;
use super::record::budget::{Budget, Payer};
use super::record::error::RegistryError;
use super::record::lease::{LIFETIME_SECONDS, Lease, LeaseRequest, LeaseState, Leased, Room, is_unique_id};
use super::record::window::Window;
use super::store::budgets::Opened;
use super::store::ledger::Ledger;

/// The subjects of one request: a token, its owner, its team.
const MAX_SUBJECTS: usize = 3;

/// The leases that a window keeps, one for each data plane. Beyond, the oldest expired ones are settled, and no lease is
/// added to live ones.
const MAX_LEASES: usize = 1024;

/// The leases that a data plane may have missed while it was away.
const MAX_SUCCESSORS: usize = 64;

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
        if requests.iter().any(|request| request.nonce.as_deref().is_some_and(|nonce| !is_unique_id(nonce))) {
            let expected = "expected 32 hexadecimal digits".to_owned();
            return Err(RegistryError::Invalid { field: "nonce", expected });
        }
        let mut accounts = Vec::new();
        for request in requests {
            accounts.push(self.0.account(&request.subject, request.id.as_deref()).await?);
        }
        let mut ledger = self.0.ledger(&accounts).await?;
        let now = clock();
        let mut answers = Vec::new();
        for (request, account) in requests.iter().zip(&accounts) {
            answers.push(self.lease_one(&mut ledger, request, account, node, now).await?);
        }
        ledger.commit().await?;
        Ok(answers)
    }

    /// Renews or begins a lease for a subject, in the windows of its account.
    async fn lease_one(
        &self,
        ledger: &mut Ledger,
        request: &LeaseRequest,
        subject: &Payer,
        node: &str,
        now: UnixTime,
    ) -> Result<Leased> {
        let held = find(ledger, request, subject).await?;
        let budget = ledger.budget(&request.subject).await?.or_else(|| request.budget.clone());
        let Some(budget) = budget else {
            if let Some(lease) = held {
                ended(ledger, subject, lease, now).await?;
            }
            return Ok(Leased::without_budget());
        };
        let window = window_of(&budget, held.as_ref(), now);
        let settled = self.open_window(ledger, subject, &budget, window).await?;
        let mut leases = ledger.leases(subject, budget.unit, window).await?;
        let fits = |lease: &Lease| {
            let room = Room::beside(Some(&lease.id), budget.amount, settled, &leases, now);
            // The rest of an expired lease may be held by others by now.
            lease.unit == budget.unit
                && lease.window == window
                && (lease.is_live(now) || room.fits(lease.held()))
        };
        let mut lease = match successor(ledger, subject, held, fits, now).await? {
            (Some(lease), _) => lease,
            (None, ended) => {
                let lease = Lease::begin(&budget, window, node, request.nonce.as_deref())?;
                if let Some(mut ended) = ended {
                    ended.successor = Some(lease.id.clone());
                    ledger.put_lease(subject, &ended).await?;
                }
                // Last, since it may settle the ended one.
                make_place(ledger, subject, &mut leases, now).await?;
                lease
            }
        };
        let settled = ledger.settled(subject, budget.unit, window).await?.unwrap_or(settled);
        let room = Room::beside(Some(&lease.id), budget.amount, settled, &leases, now);
        let expires_in = LIFETIME_SECONDS.min(window.ends_at.0.saturating_sub(now.0)).max(1);
        lease.granted = add(lease.granted, room.slice(&lease, request.need));
        lease.expires_at = UnixTime(now.0.saturating_add(expires_in));
        ledger.put_lease(subject, &lease).await?;
        Ok(Leased {
            unit: Some(budget.unit),
            state: Some(LeaseState {
                limit: budget.amount,
                granted: lease.granted,
                remaining: room.free(lease.spent),
                resets_at: window.ends_at,
            }),
            id: Some(lease.id),
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
            let mut ledger = self.0.ledger(std::slice::from_ref(&subject)).await?;
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
    fn without_budget() -> Self {
        Self { id: None, unit: None, state: None, expires_in: LIFETIME_SECONDS }
    }
}

impl Lease {
    /// Returns a lease with nothing granted. Its id is random, since ids of different replicas must not meet.
    fn begin(budget: &Budget, window: Window, node: &str, nonce: Option<&str>) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        Ok(Self {
            id: format!("{:032x}", u128::from_be_bytes(random)),
            unit: budget.unit,
            window,
            node: node.to_owned(),
            granted: 0,
            spent: 0,
            returned: 0,
            expires_at: UnixTime(0),
            nonce: nonce.unwrap_or_default().to_owned(),
            successor: None,
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
async fn ended(ledger: &mut Ledger, subject: &Payer, mut lease: Lease, now: UnixTime) -> Result<Lease> {
    if lease.is_live(now) {
        lease.expires_at = now;
        ledger.put_lease(subject, &lease).await?;
    }
    Ok(lease)
}

/// Returns the lease that a request names, with what it tells of it; or the one that an equal first request began.
async fn find(ledger: &mut Ledger, request: &LeaseRequest, subject: &Payer) -> Result<Option<Lease>> {
    match (&request.id, &request.nonce) {
        (Some(id), _) => {
            let Some(mut lease) = ledger.lease(subject, id).await? else { return Ok(None) };
            lease.spent = lease.spent.max(request.spent);
            lease.returned = lease.returned.max(request.returned.min(lease.granted));
            ledger.put_lease(subject, &lease).await?;
            Ok(Some(lease))
        }
        (None, Some(nonce)) => ledger.lease_by_nonce(subject, nonce).await,
        (None, _) => Ok(None),
    }
}

/// Follows leases that have ended to the one that took their place. Returns the lease that goes on, if there is one, and the
/// ended one that needs a successor.
async fn successor(
    ledger: &mut Ledger,
    subject: &Payer,
    held: Option<Lease>,
    fits: impl Fn(&Lease) -> bool,
    now: UnixTime,
) -> Result<(Option<Lease>, Option<Lease>)> {
    let mut held = held;
    for _ in 0..MAX_SUCCESSORS {
        let Some(lease) = held.take() else { break };
        if fits(&lease) {
            return Ok((Some(lease), None));
        }
        let lease = ended(ledger, subject, lease, now).await?;
        held = match &lease.successor {
            Some(id) => ledger.lease(subject, id).await?,
            None => None,
        };
        if held.is_none() {
            return Ok((None, Some(lease)));
        }
    }
    Ok((None, held))
}

/// Settles the oldest expired leases until there is a place for another one.
async fn make_place(
    ledger: &mut Ledger,
    subject: &Payer,
    leases: &mut Vec<Lease>,
    now: UnixTime,
) -> Result<()> {
    while leases.len() >= MAX_LEASES {
        let Some(oldest) = leases.iter().position(|lease| !lease.is_live(now)) else {
            return Err(RegistryError::TooManyLeases);
        };
        let lease = leases.remove(oldest);
        settle(ledger, subject, &lease).await?;
    }
    Ok(())
}

/// Moves the spending of an expired lease to its window, and deletes the lease.
async fn settle(ledger: &mut Ledger, subject: &Payer, lease: &Lease) -> Result<()> {
    if let Some(settled) = ledger.settled(subject, lease.unit, lease.window).await? {
        ledger.put_settled(subject, lease, add(settled, lease.spent)).await?;
    }
    ledger.delete_lease(&lease.id).await
}
