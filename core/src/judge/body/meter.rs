//! The meter of one request: what it may cost is reserved before it goes on, and what it took is charged when it has
//! ended.

use std::rc::Rc;
use std::sync::Arc;

use super::amounts::{Charged, WouldReserve};
use super::meter_rules::{MeterRules, subjects};
use super::tokens::TokenMeter;
use crate::answer::CheckError;
use crate::base::{Moment, UnixTime};
use crate::body::{self, AnswerScanner, Asked, Edit, Purposes, Unmetered};
use crate::host::Store;
use crate::identity::CallerRecord;
use crate::limit::{Amount, Reservation, Reserved, TokensTaken};
use crate::policy::{Policy, WhenLeft};
use crate::price::{Counts, Factor, Found, Nano, Price, Tier};
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
    provider: String,
    /// The model as the request names it.
    model: Option<String>,
    subjects: Vec<BudgetSubject>,
    held: Vec<Reservation>,
    /// The rate limit in tokens.
    tokens: TokenMeter,
    /// The amount that was reserved: the cost if nothing else becomes known.
    reserved: Amount,
    /// The estimated input tokens.
    input: u64,
    /// The service tier that the request asks for.
    tier: Option<Tier>,
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
        f.debug_struct("Meter").field("provider", &self.provider).finish_non_exhaustive()
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

/// The outcome of reserving in every budget of a caller.
struct Tried {
    held: Vec<Reservation>,
    lacking: Vec<BudgetSubject>,
    /// The first error.
    refused: Option<CheckError<'static>>,
}

impl Meter {
    pub(crate) fn new(
        rules: &Rc<MeterRules>,
        policy: &Policy,
        record: &Arc<CallerRecord>,
        provider: &str,
        model: Option<String>,
    ) -> Self {
        Self {
            rules: Rc::clone(rules),
            record: Arc::clone(record),
            provider: provider.to_owned(),
            model,
            subjects: subjects(policy, record).into_iter().map(|(_, subject)| subject).collect(),
            held: Vec::new(),
            tokens: TokenMeter::new(policy, record),
            reserved: Amount::default(),
            input: 0,
            tier: None,
            waits: 0,
            awaited: None,
            cuts_usage: false,
            answer: Answer::Awaited,
            is_charged: false,
        }
    }

    /// Notes what the body of the request has said: its model, where the target named none, and its bytes.
    pub(crate) fn note_request(&mut self, model: Option<&str>, asked: &Asked, bytes: u64, asks_usage: bool) {
        if self.model.is_none() {
            self.model = model.map(str::to_owned);
        }
        self.input = bytes.div_ceil(BYTES_PER_TOKEN).min(MAX_INPUT);
        self.tier = asked.tier;
        self.cuts_usage = asks_usage && asked.stream && !asked.says_usage;
    }

    /// Reserves what the request can cost, in the rate limit and in every budget of its caller, once.
    pub(crate) fn reserve(&mut self, asked: &Asked, now: Moment, store: &dyn Store) -> Result<(), Lack> {
        let amount = self.most(asked);
        let reserved = self.tokens.reserve(&self.rules, amount.tokens, now, store);
        if reserved.map_err(Lack::Refused)? {
            self.reserved = amount;
        }
        self.reserve_budgets(amount, now, store).inspect_err(|_| self.tokens.settle(0, now, store))
    }

    /// Returns what a request reserves that says this. Reserves nothing.
    pub(crate) fn would_reserve(&mut self, model: Option<&str>, asked: &Asked, bytes: u64) -> WouldReserve {
        self.note_request(model, asked, bytes, false);
        let Amount { cost, tokens } = self.most(asked);
        let model = self.price().map(|found| found.name.to_owned());
        WouldReserve { limit: self.tokens.limit(), tokens, cost, model }
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
        let amount = self.most(&Asked { count: 1, ..Asked::default() });
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
        // What cannot be counted passes where the policy says so.
        let passes = |lack: &Lack| matches!(lack, Lack::Refused(CheckError::BudgetUnavailable));
        if let Some(lack) = lack.filter(|lack| !(rules.failure_mode_allow && passes(lack))) {
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

    /// Returns the most that the request is taken to cost.
    fn most(&self, asked: &Asked) -> Amount {
        let most = self.price().and_then(|found| found.price.max_output());
        let output = asked.output.unwrap_or(self.rules.default_output);
        let output = most.map_or(output, |most| output.min(most)).saturating_mul(asked.count.max(1));
        let cost = self.dearer(|price, tier| price.worst(self.input, output, tier));
        Amount { cost, tokens: self.input.saturating_add(output) }
    }

    /// Returns the dearer of the plain cost and that of the tier that the request asks for: a provider may serve either.
    fn dearer(&self, cost: impl Fn(&Price, Option<Tier>) -> Nano) -> Option<Nano> {
        let price = &self.price()?.price;
        Some(cost(price, None).max(cost(price, self.tier)))
    }

    fn price(&self) -> Option<Found<'_>> {
        self.rules.prices.find(&self.provider, self.model.as_deref()?)
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
        &self.provider
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
        let (usage, actual) = self.actual();
        self.tokens.settle(actual.tokens, now, store);
        let rules = Rc::clone(&self.rules);
        if let Some(registry) = &rules.registry {
            self.stop_waiting(registry);
            for reservation in std::mem::take(&mut self.held) {
                registry.settle(reservation, actual, now, store);
            }
        }
        if let Answer::OfHost = self.answer {
            return None;
        }
        let model = self.price().map(|found| found.name.to_owned());
        if let Some(registry) = &rules.registry {
            registry.spent(
                &Metered {
                    caller: &self.record,
                    provider: &self.provider,
                    model: model.as_deref(),
                    counts: usage.ok(),
                    cost: actual.cost,
                },
                now,
            );
        }
        Some(Charged { model, usage, cost: actual.cost })
    }

    /// Returns the calls that tell what requests took.
    pub(crate) fn reports(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        self.rules.registry.as_ref().map_or_else(Vec::new, |registry| registry.reports(now, store))
    }

    /// Returns the usage, and the amount to charge. Where the usage is not known, the amount is the estimate.
    fn actual(&self) -> (Result<Counts, Unmetered>, Amount) {
        let scanner = match &self.answer {
            Answer::OfHost => return (Ok(Counts::default()), Amount::NOTHING),
            // The caller left before an answer came: the upstream may have begun all the same.
            Answer::Awaited => return (Err(Unmetered::Broken), self.left(Amount::NOTHING, self.estimate(0))),
            Answer::Scanned(scanner) => scanner,
        };
        let finding = scanner.finding();
        let factors = [finding.speed, finding.region].map(|word| word.and_then(Factor::named));
        let cost = |counts: &Counts| match finding.tier.map(Tier::named) {
            Some(tier) => self.price().map(|found| found.price.cost_by(counts, tier, factors)),
            None => self.dearer(|price, tier| price.cost_by(counts, tier, factors)),
        };
        let amount = |counts: &Counts| Amount { cost: cost(counts), tokens: counts.tokens() };
        match finding.usage {
            Ok(usage) if finding.is_whole => (Ok(usage), amount(&usage)),
            Ok(usage) => {
                let output = usage.output.max(finding.events_with_content);
                let estimated = Counts { output, ..usage };
                let is_seen = self.rules.when_left == WhenLeft::Seen;
                let counts = if is_seen { usage } else { estimated };
                (Ok(counts), self.left(amount(&usage), amount(&estimated)))
            }
            Err(why) if finding.is_whole => (Err(why), self.reserved_or_estimate()),
            Err(why) => (Err(why), self.left(Amount::NOTHING, self.estimate(finding.events_with_content))),
        }
    }

    /// Returns the charge for an answer that its caller left, of what the answer has told and of an estimate.
    fn left(&self, seen: Amount, estimated: Amount) -> Amount {
        match self.rules.when_left {
            WhenLeft::Estimate => estimated,
            WhenLeft::Reserve => Amount {
                cost: estimated.cost.max(self.reserved.cost),
                tokens: estimated.tokens.max(self.reserved.tokens),
            },
            WhenLeft::Seen => seen,
        }
    }

    /// Returns what was reserved, for an answer whose usage cannot be read.
    fn reserved_or_estimate(&self) -> Amount {
        if self.reserved == Amount::default() { self.estimate(0) } else { self.reserved }
    }

    fn estimate(&self, output: u64) -> Amount {
        let counts = Counts { input: self.input, output, ..Counts::default() };
        let cost = self.dearer(|price, tier| price.cost(&counts, tier));
        Amount { cost, tokens: counts.tokens() }
    }
}
