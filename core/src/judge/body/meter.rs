//! The meter of one request: what it may cost is reserved before it goes on, and what it took is charged when it has
//! ended.

use std::rc::Rc;
use std::sync::Arc;

use super::amounts::{Charged, WouldReserve};
use super::meter_rules::{MeterRules, subjects};
use super::pricing::{Pricing, Unstated};
use super::tokens::TokenMeter;
use crate::answer::CheckError;
use crate::base::{Moment, UnixTime};
use crate::body::{self, AnswerScanner, Asked, Edit, Purposes, Unmetered};
use crate::host::Store;
use crate::identity::CallerRecord;
use crate::limit::{Amount, Reservation, Reserved, TokensTaken};
use crate::policy::{Policy, WhenLeft};
use crate::price::{Counts, Factor, Price, Tier};
use crate::services::Fetch;
use crate::services::registry::{BudgetSubject, Metered, Registry};

/// The bytes of a request that are estimated to be one token: English has four, code three.
const BYTES_PER_TOKEN: u64 = 3;
/// The most input tokens of an estimate: no model takes more.
const MAX_INPUT: u64 = 1_000_000;
/// The most calls for slices that one request waits for.
///
/// The first call may have begun before it was known how much the request needs, and in a burst the requests of other workers
/// may take what the next ones bring. A budget that cannot cover the request, or a registry that fails, ends the wait before.
const MAX_WAITS: u8 = 8;

/// The state of a request whose usage is metered.
pub(crate) struct Meter {
    rules: Rc<MeterRules>,
    record: Arc<CallerRecord>,
    pricing: Pricing,
    subjects: Vec<BudgetSubject>,
    held: Vec<Reservation>,
    /// The rate limit in tokens.
    tokens: TokenMeter,
    /// The amount that was reserved.
    reserved: Amount,
    /// The most that an answer can have cost which tells no usage, where a limit has to count it.
    untold: Amount,
    /// The estimated input tokens.
    input: u64,
    /// The calls that the request has waited for.
    waits: u8,
    /// The slices that the request waits for.
    awaited: Option<(Vec<BudgetSubject>, Amount)>,
    /// Set where the usage chunk of the answer is cut out: the caller did not ask for it.
    cuts_usage: bool,
    answer: Answer,
    is_charged: bool,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("provider", &self.pricing.provider()).finish_non_exhaustive()
    }
}

/// The answer, as far as it has come.
enum Answer {
    /// None has come.
    Awaited,
    /// The host gave one itself: the upstream did nothing.
    OfHost,
    /// The upstream's, with its scanner.
    Scanned(Box<AnswerScanner>),
}

/// The lack of a budget for a request.
pub(crate) enum Lack {
    /// A call must be made first.
    Call(Box<Fetch>),
    /// The request is refused.
    Refused(CheckError<'static>),
}

/// The charge for an answer.
struct Charge {
    usage: Result<Counts, Unmetered>,
    amount: Amount,
    /// The model's name in the table of prices; `None` for one that is not there.
    model: Option<String>,
}

/// The outcome of reserving in every budget of a caller.
struct Tried {
    held: Vec<Reservation>,
    lacking: Vec<BudgetSubject>,
    /// The first error.
    refused: Option<CheckError<'static>>,
}

impl Meter {
    pub(super) fn new(
        rules: &Rc<MeterRules>,
        policy: &Policy,
        record: &Arc<CallerRecord>,
        pricing: Pricing,
    ) -> Self {
        Self {
            rules: Rc::clone(rules),
            record: Arc::clone(record),
            pricing,
            subjects: subjects(policy, record).into_iter().map(|(_, subject)| subject).collect(),
            held: Vec::new(),
            tokens: TokenMeter::new(policy, record),
            reserved: Amount::default(),
            untold: Amount::default(),
            input: 0,
            waits: 0,
            awaited: None,
            cuts_usage: false,
            answer: Answer::Awaited,
            is_charged: false,
        }
    }

    /// Notes what the body of the request has said: its models, and its bytes.
    pub(crate) fn note_request<'m>(
        &mut self,
        models: impl IntoIterator<Item = &'m str>,
        asked: &Asked,
        bytes: u64,
        asks_usage: bool,
    ) {
        self.pricing.note(models, asked.tier);
        self.input = bytes.div_ceil(BYTES_PER_TOKEN).min(MAX_INPUT);
        self.cuts_usage = asks_usage && asked.stream && !asked.says_usage;
    }

    /// Reserves what the request can cost, in the rate limit and in every budget of its caller, once.
    pub(crate) fn reserve(&mut self, asked: &Asked, now: Moment, store: &dyn Store) -> Result<(), Lack> {
        let amount = self.pricing.most(self.input, asked, Unstated::Usual);
        let reserved = self.tokens.reserve(&self.rules, amount.tokens, now, store);
        if reserved.map_err(Lack::Refused)? {
            self.reserved = amount;
        }
        if self.tokens.limit().is_some() || self.has_budgets() {
            self.untold = self.pricing.most(self.input, asked, Unstated::Most);
        }
        self.reserve_budgets(amount, now, store).inspect_err(|_| self.tokens.settle(0, now, store))
    }

    /// Returns what a request reserves that says this. Reserves nothing.
    pub(crate) fn would_reserve(&mut self, model: Option<&str>, asked: &Asked, bytes: u64) -> WouldReserve {
        self.note_request(model, asked, bytes, false);
        let Amount { cost, tokens } = self.pricing.most(self.input, asked, Unstated::Usual);
        WouldReserve { limit: self.tokens.limit(), tokens, cost, model: self.pricing.name() }
    }

    /// Returns what is left of the rate limit in tokens, once after it was taken from.
    pub(crate) fn tokens_taken(&mut self) -> Option<TokensTaken> {
        self.tokens.taken()
    }

    /// Has slices of the budgets leased before a part of the body goes on, since hosts cannot hold a body in the middle.
    /// Returns the call that the first slice waits for.
    pub(crate) fn prepare(&mut self, declared: u64, now: Moment, store: &dyn Store) -> Option<Box<Fetch>> {
        let rules = Rc::clone(&self.rules);
        let registry = rules.registry.as_ref().filter(|_| rules.budgets && self.waits == 0)?;
        self.input = declared.div_ceil(BYTES_PER_TOKEN).min(MAX_INPUT);
        let asked = Asked { count: 1, ..Asked::default() };
        let amount = self.pricing.most(self.input, &asked, Unstated::Usual);
        let lacks = |subject: &&BudgetSubject| registry.lacks(subject, &amount, now, store);
        let lacking: Vec<BudgetSubject> = self.subjects.iter().filter(lacks).cloned().collect();
        if lacking.is_empty() {
            return None;
        }
        match self.call(registry, lacking, amount, now, store) {
            Lack::Call(fetch) => Some(fetch),
            Lack::Refused(_) => None,
        }
    }

    fn reserve_budgets(&mut self, amount: Amount, now: Moment, store: &dyn Store) -> Result<(), Lack> {
        let rules = Rc::clone(&self.rules);
        let Some(registry) = rules.registry.as_ref().filter(|_| rules.budgets) else { return Ok(()) };
        self.stop_waiting(registry);
        let Tried { held, lacking, refused } = self.try_all(registry, &amount, now, store);
        let lack = match refused {
            Some(error) => Some(Lack::Refused(error)),
            None if lacking.is_empty() => None,
            None => Some(self.call(registry, lacking, amount, now, store)),
        };
        // What cannot be counted passes where the policy says so: but not a request that cannot wait for a registry that is there.
        let is_away = |lack: &Lack| matches!(lack, Lack::Refused(CheckError::BudgetUnavailable));
        let passes = rules.failure_mode_allow && self.waits < MAX_WAITS;
        if let Some(lack) = lack.filter(|lack| !(passes && is_away(lack))) {
            for reservation in held {
                registry.settle(reservation, Amount::default(), now, store);
            }
            return Err(lack);
        }
        (self.held, self.reserved) = (held, amount);
        Ok(())
    }

    /// Tries each budget.
    fn try_all(&self, registry: &Registry, amount: &Amount, now: Moment, store: &dyn Store) -> Tried {
        let mut tried = Tried { held: Vec::new(), lacking: Vec::new(), refused: None };
        for subject in &self.subjects {
            let refused = match registry.reserve(subject, amount, now, store) {
                Ok(Reserved::Held(reservation)) => {
                    tried.held.push(reservation);
                    continue;
                }
                Ok(Reserved::Unlimited) => continue,
                Ok(Reserved::Unpriced) if self.rules.allows_unpriced => continue,
                Ok(Reserved::Short | Reserved::Missing) => {
                    tried.lacking.push(subject.clone());
                    continue;
                }
                Ok(Reserved::Unpriced) => CheckError::Unpriced,
                Ok(Reserved::Spent(standing)) => {
                    CheckError::BudgetSpent(UnixTime(i64::try_from(standing.resets_at).unwrap_or(i64::MAX)))
                }
                Ok(Reserved::Busy) => CheckError::BudgetReserved,
                Err(_) => CheckError::BudgetUnavailable,
            };
            tried.refused.get_or_insert(refused);
        }
        tried
    }

    /// Returns the call for what is lacking. The request waits for it.
    fn call(
        &mut self,
        registry: &Registry,
        lacking: Vec<BudgetSubject>,
        amount: Amount,
        now: Moment,
        store: &dyn Store,
    ) -> Lack {
        let wanted: Vec<&BudgetSubject> = lacking.iter().collect();
        let call = (self.waits < MAX_WAITS)
            .then(|| registry.lease(&wanted, &amount, self.waits > 1, now, store))
            .flatten();
        let Some(call) = call else { return Lack::Refused(CheckError::BudgetUnavailable) };
        self.waits = self.waits.saturating_add(1);
        self.awaited = Some((lacking, amount));
        Lack::Call(Box::new(call))
    }

    fn stop_waiting(&mut self, registry: &Registry) {
        if let Some((lacking, amount)) = self.awaited.take() {
            registry.forgo(&lacking, &amount);
        }
    }

    /// Returns whether a budget can have the request refused.
    pub(crate) fn has_budgets(&self) -> bool {
        self.rules.budgets && !self.subjects.is_empty()
    }

    /// Takes the head of the answer. Returns whether bytes may be cut out of its body.
    pub(crate) fn answered(&mut self, head: &body::AnswerHead<'_>, is_of_upstream: bool) -> bool {
        if !is_of_upstream {
            self.answer = Answer::OfHost;
            return false;
        }
        let purposes = Purposes { reads_usage: true, cuts_usage_chunk: self.cuts_usage && head.status < 300 };
        self.answer = Answer::Scanned(Box::new(AnswerScanner::new(head, purposes)));
        purposes.cuts_usage_chunk
    }

    /// Notes that the request was refused by its body: the upstream did nothing.
    pub(crate) fn refused(&mut self) {
        self.answer = Answer::OfHost;
    }

    /// Returns the name of the provider.
    pub(crate) fn provider(&self) -> &str {
        self.pricing.provider()
    }

    /// Returns whether the body of the answer is read.
    pub(crate) fn reads_answer(&self) -> bool {
        matches!(self.answer, Answer::Scanned(_))
    }

    /// Takes the next slice of the answer. For [`Edit::Replace`] the bytes in its place stand in `out`.
    pub(crate) fn take(&mut self, slice: &[u8], is_last: bool, out: &mut Vec<u8>) -> Edit {
        let Answer::Scanned(scanner) = &mut self.answer else { return Edit::Pass };
        let mut edit = scanner.feed(slice, out);
        if is_last {
            let before = out.len();
            scanner.finish(out);
            if edit == Edit::Pass && out.len() > before {
                let mut all = slice.to_vec();
                all.append(out);
                *out = all;
                edit = Edit::Replace;
            }
        }
        edit
    }

    /// Charges the request, once: `None` where it was charged before, or where nothing was done for it.
    pub(crate) fn end(&mut self, now: Moment, store: &dyn Store) -> Option<Charged> {
        if std::mem::replace(&mut self.is_charged, true) {
            return None;
        }
        let is_of_host = matches!(self.answer, Answer::OfHost);
        let charge = (!is_of_host).then(|| self.actual());
        let amount = charge.as_ref().map_or(Amount::NOTHING, |charge| charge.amount);
        self.tokens.settle(amount.tokens, now, store);
        let rules = Rc::clone(&self.rules);
        if let Some(registry) = &rules.registry {
            self.stop_waiting(registry);
            for reservation in std::mem::take(&mut self.held) {
                registry.settle(reservation, amount, now, store);
            }
        }
        let Charge { usage, model, .. } = charge?;
        if let Some(registry) = &rules.registry {
            registry.spent(
                &Metered {
                    caller: &self.record,
                    provider: self.pricing.provider(),
                    model: model.as_deref(),
                    counts: usage.ok(),
                    cost: amount.cost,
                },
                now,
            );
        }
        Some(Charged { model, usage, cost: amount.cost })
    }

    /// Returns the calls that tell what requests took.
    pub(crate) fn reports(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        self.rules.registry.as_ref().map_or_else(Vec::new, |registry| registry.reports(now, store))
    }

    /// Returns the usage, the amount to charge, and the model that it is charged for. Where the usage is not known, the amount is an
    /// estimate.
    fn actual(&self) -> Charge {
        let Answer::Scanned(scanner) = &self.answer else {
            // The caller left before an answer came: the upstream may have begun all the same.
            let (estimate, model) = self.estimate(0, None);
            let amount = self.left(Amount::NOTHING, estimate);
            return Charge { usage: Err(Unmetered::Broken), amount, model };
        };
        let finding = scanner.finding();
        let factors = [finding.speed, finding.region].map(|word| word.and_then(Factor::named));
        let tier = finding.tier.map(Tier::named);
        let amount = |counts: &Counts| {
            let cost = |price: &Price, asked| price.cost_by(counts, tier.unwrap_or(asked), factors);
            let (cost, model) = self.pricing.charge(finding.model, finding.is_sum, cost).unzip();
            (Amount { cost, tokens: counts.tokens() }, model)
        };
        match finding.usage {
            Ok(usage) => {
                let output = usage.output.max(finding.events_with_content);
                let estimated = Counts { output, ..usage };
                let is_seen = finding.is_whole || self.rules.when_left == WhenLeft::Seen;
                let counts = if is_seen { usage } else { estimated };
                let ((seen, model), (estimated, _)) = (amount(&usage), amount(&estimated));
                let amount = if finding.is_whole { seen } else { self.left(seen, estimated) };
                Charge { usage: Ok(counts), amount, model }
            }
            Err(why) => {
                let (mut amount, model) = self.estimate(finding.events_with_content, finding.model);
                // Of what cannot be read no event tells how much came.
                if finding.has_ended || matches!(why, Unmetered::Form | Unmetered::Encoded) {
                    amount = amount.or_more(self.untold);
                }
                if !finding.has_ended {
                    amount = self.left(Amount::NOTHING, amount);
                }
                Charge { usage: Err(why), amount, model }
            }
        }
    }

    /// Returns the charge for an answer that its caller left, of what the answer has told and of an estimate.
    fn left(&self, seen: Amount, estimated: Amount) -> Amount {
        match self.rules.when_left {
            WhenLeft::Estimate => estimated,
            WhenLeft::Reserve => estimated.or_more(self.reserved),
            WhenLeft::Seen => seen,
        }
    }

    /// Returns an estimate, and the model that it is made for.
    fn estimate(&self, output: u64, answering: Option<&str>) -> (Amount, Option<String>) {
        let counts = Counts { input: self.input, output, ..Counts::default() };
        let (cost, model) =
            self.pricing.charge(answering, false, |price, tier| price.cost(&counts, tier)).unzip();
        (Amount { cost, tokens: counts.tokens() }, model)
    }
}
