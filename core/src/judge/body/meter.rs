//! The meter of one request: what it may cost is reserved before it goes on, and what it took is charged when it has
//! ended.

use std::rc::Rc;
use std::sync::Arc;

use super::amounts::{Charged, WouldReserve};
use super::budgets::BudgetMeter;
use super::lack::Lack;
use super::meter_rules::MeterRules;
use super::pricing::{Pricing, Unstated};
use super::tokens::TokenMeter;
use crate::answer::CheckError;
use crate::base::Moment;
use crate::body::{self, AnswerScanner, Asked, Edit, Finding, Purposes, Unmetered};
use crate::host::Store;
use crate::identity::CallerRecord;
use crate::limit::{Amount, TokensTaken};
use crate::policy::{Policy, WhenLeft};
use crate::price::{Counts, Factor, Price, Tier};
use crate::services::Fetch;
use crate::services::registry::Metered;

/// The bytes of a request that are estimated to be one token: English has four, code three.
const BYTES_PER_TOKEN: u64 = 3;
/// The most input tokens of an estimate: no model takes more.
const MAX_INPUT: u64 = 1_000_000;

/// The state of a request whose usage is metered.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct Meter {
    rules: Rc<MeterRules>,
    record: Arc<CallerRecord>,
    pricing: Pricing,
    budgets: BudgetMeter,
    /// The rate limit in tokens.
    tokens: TokenMeter,
    /// The amount that was reserved.
    reserved: Amount,
    /// The limits that the request has set for its answer.
    asked: Asked,
    /// The estimated input tokens.
    input: u64,
    /// Set where something was reserved, or is to be.
    is_limited: bool,
    /// The tokens that the answers of a session have told so far, and the amount that was charged for them.
    told: Counts,
    charged: Amount,
    /// Set where the budgets cover the next answer.
    is_covered: bool,
    /// Set where the usage chunk of the answer is cut out: the caller did not ask for it.
    cuts_usage: bool,
    answer: Answer,
    is_charged: bool,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("provider", &self.provider()).finish_non_exhaustive()
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

/// The charge for an answer.
struct Charge {
    usage: Result<Counts, Unmetered>,
    amount: Amount,
    /// The model's name in the table of prices; `None` for one that is not there.
    model: Option<String>,
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
            budgets: BudgetMeter::new(rules, policy, record),
            tokens: TokenMeter::new(policy, record),
            reserved: Amount::default(),
            asked: Asked::default(),
            input: 0,
            is_limited: false,
            told: Counts::default(),
            charged: Amount::NOTHING,
            is_covered: true,
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
        self.is_limited = reserved.map_err(Lack::Refused)? || self.has_budgets();
        self.budgets.reserve(amount, now, store).inspect_err(|_| self.tokens.settle(0, now, store))?;
        if self.is_limited {
            (self.reserved, self.asked) = (amount, *asked);
        }
        Ok(())
    }

    /// Charges what the answers of a session have told, and reserves for the next one. Returns a call that does not have to be waited
    /// for.
    ///
    /// The bytes of sound are no measure of its tokens: the next answer is taken to read as much as the last one did.
    pub(crate) fn renew<'m>(
        &mut self,
        models: impl IntoIterator<Item = &'m str>,
        asked: &Asked,
        now: Moment,
        store: &dyn Store,
    ) -> Result<Option<Box<Fetch>>, CheckError<'static>> {
        self.pricing.note(models, asked.tier);
        let Answer::Scanned(scanner) = &self.answer else { return Ok(None) };
        if !self.is_limited {
            return Ok(None);
        }
        let finding = scanner.finding();
        let told = finding.usage.unwrap_or_default();
        let has_told = told != self.told;
        if has_told {
            self.input = told.input.saturating_sub(self.told.input);
        }
        let most = self.pricing.most(self.input, asked, Unstated::Usual);
        if has_told || most.or_more(self.reserved) != self.reserved {
            let taken = self.amount(&told, &finding).0;
            let due = taken.minus(&self.charged);
            (self.told, self.charged, self.reserved, self.is_covered) = (told, taken, most, false);
            self.budgets.charge(due, now, store);
            self.tokens.settle(due.tokens, now, store);
            self.tokens.reserve(&self.rules, most.tokens, now, store)?;
        }
        if self.is_covered {
            return Ok(None);
        }
        let fetch = self.budgets.renew(most, now, store)?;
        self.is_covered = fetch.is_none();
        Ok(fetch)
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
        self.input = declared.div_ceil(BYTES_PER_TOKEN).min(MAX_INPUT);
        let asked = Asked { count: 1, ..Asked::default() };
        let amount = self.pricing.most(self.input, &asked, Unstated::Usual);
        self.budgets.prepare(amount, now, store)
    }

    /// Returns whether a budget can have the request refused.
    pub(crate) fn has_budgets(&self) -> bool {
        self.budgets.has_any()
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

    /// Notes that the request was refused by its body: the upstream did nothing, unless it has answered. A message of a session may end it
    /// after hours.
    pub(crate) fn refused(&mut self) {
        if let Answer::Awaited = self.answer {
            self.answer = Answer::OfHost;
        }
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
        // A cost that is not known stays so.
        let due = if self.charged == Amount::NOTHING { amount } else { amount.minus(&self.charged) };
        self.tokens.settle(due.tokens, now, store);
        self.budgets.settle(due, now, store);
        let Charge { usage, model, .. } = charge?;
        if let Some(registry) = &self.rules.registry {
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
        match finding.usage {
            Ok(usage) => {
                // What has output had input, whether it is told or not.
                let input = if usage.output > 0 && usage.input == 0 { self.input } else { usage.input };
                let usage = Counts { input, ..usage };
                let output = usage.output.max(finding.events_with_content);
                let estimated = Counts { output, ..usage };
                let is_seen = finding.is_whole || self.rules.when_left == WhenLeft::Seen;
                let counts = if is_seen { usage } else { estimated };
                let (seen, model) = self.amount(&usage, &finding);
                let left = || self.left(seen, self.amount(&estimated, &finding).0);
                let amount = if finding.is_whole { seen } else { left() };
                let counts = finding.others.map_or(counts, |others| counts.saturating_add(&others));
                Charge { usage: Ok(counts), amount, model }
            }
            Err(why) => {
                let answering = finding.model.filter(|_| !finding.is_sum);
                let (mut amount, model) = self.estimate(finding.events_with_content, answering);
                // Of what cannot be read no event tells how much came.
                let is_unknown = finding.has_ended || matches!(why, Unmetered::Form | Unmetered::Encoded);
                if self.is_limited && is_unknown {
                    amount = amount.or_more(self.most());
                }
                if !finding.has_ended {
                    amount = self.left(Amount::NOTHING, amount);
                }
                Charge { usage: Err(why), amount, model }
            }
        }
    }

    /// Returns the most that the request can have cost. How much stored input it read is not known.
    fn most(&self) -> Amount {
        let input = if self.asked.has_stored_input { MAX_INPUT } else { self.input };
        self.pricing.most(input, &self.asked, Unstated::Most)
    }

    /// Returns what a usage costs, with the model that it is charged for.
    fn amount(&self, counts: &Counts, finding: &Finding<'_>) -> (Amount, Option<String>) {
        let factors = [finding.speed, finding.region].map(|word| word.and_then(Factor::named));
        let tier = finding.tier.and_then(Tier::told);
        let cost = |price: &Price, asked| price.cost_by(counts, tier.unwrap_or(asked), factors);
        let (cost, model) = self.pricing.charge(finding.model, finding.is_sum, cost).unzip();
        let amount = Amount { cost, tokens: counts.tokens() };
        let Some(others) = finding.others else { return (amount, model) };
        let cost = self.pricing.charge_others(finding.model, &others);
        let sum = amount.plus(&Amount { cost, tokens: others.tokens() });
        (Amount { cost: amount.cost.and(sum.cost), ..sum }, model)
    }

    /// Returns the charge for an answer that its caller left, of what the answer has told and of an estimate. One in the background
    /// is made to its end all the same.
    fn left(&self, seen: Amount, estimated: Amount) -> Amount {
        if self.is_limited && self.asked.is_background {
            return estimated.or_more(self.most());
        }
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
