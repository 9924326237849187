//! The budgets of a policy, and the metering that they need.

use std::collections::BTreeMap;

use super::reader::Node;
use crate::identity::CallerRecord;
use crate::limit::{Budget, BudgetRules, MAX_BUDGET_TOKENS, MAX_BUDGET_USD, Period, Unit};
use crate::price::Nano;

const USD_EXPECTED: &str =
    "expected US dollars such as `10` or `0.25`: above 0, at most 9000000, with at most nine decimals";
const TIMEZONE_EXPECTED: &str = "expected the IANA name of a time zone such as `Europe/Berlin` or `UTC`";
const DEFAULT_OUTPUT: u64 = 4096;

/// The metering of requests: their answers are read, and what they took is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MeteringPolicy {
    /// Set where a stream is asked for its usage that tells it only if asked.
    pub(crate) asks_usage: bool,
    /// The charge for an answer that its caller left.
    pub(crate) when_left: WhenLeft,
}

/// The charge for an exchange that ends before its answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenLeft {
    /// The usage that the answer has told, and an estimate of the rest.
    Estimate,
    /// The reserved amount, at least.
    Reserve,
    /// The usage that the answer has told, and nothing else.
    Seen,
}

impl WhenLeft {
    /// Every charge, with its name.
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("estimate", Self::Estimate), ("reserve", Self::Reserve), ("seen", Self::Seen)];
}

impl Default for MeteringPolicy {
    fn default() -> Self {
        Self { asks_usage: true, when_left: WhenLeft::Estimate }
    }
}

impl MeteringPolicy {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let asks_usage = fields.optional("ask_usage").map_or(Some(true), |node| node.flag());
        let when_left =
            fields.optional("when_left").map_or(Some(WhenLeft::Estimate), |node| node.choice(&WhenLeft::ALL));
        fields.finish();
        Some(Self { asks_usage: asks_usage?, when_left: when_left? })
    }
}

impl Default for BudgetRules {
    /// Returns the rules of a policy that only has budgets of single tokens.
    fn default() -> Self {
        Self {
            token: None,
            owner: None,
            team: None,
            own: BTreeMap::new(),
            allows_unpriced: false,
            failure_mode_allow: false,
            default_output: DEFAULT_OUTPUT,
        }
    }
}

/// Reads the section `budgets`.
#[inline(never)]
pub(super) fn read(node: &Node<'_>) -> Option<BudgetRules> {
    let mut fields = node.fields()?;
    let mut budget = |name| fields.optional(name).map_or(Some(None), |node| read_budget(&node).map(Some));
    let (token, owner, team) = (budget("token"), budget("owner"), budget("team"));
    let unpriced = fields
        .optional("unpriced")
        .map_or(Some(false), |node| node.choice(&[("refuse", false), ("allow", true)]));
    let failure_mode_allow = fields.optional("failure_mode_allow").map_or(Some(false), |node| node.flag());
    let default_output = fields.optional("default_output").map_or(Some(DEFAULT_OUTPUT), |node| {
        let number = node.number()?;
        node.check((1..=1_000_000).contains(&number).then_some(number), "expected 1 to 1000000 tokens")
    });
    fields.finish();
    Some(BudgetRules {
        token: token?,
        owner: owner?,
        team: team?,
        own: BTreeMap::new(),
        allows_unpriced: unpriced?,
        failure_mode_allow: failure_mode_allow?,
        default_output: default_output?,
    })
}

/// Reads a budget.
pub(super) fn read_budget(node: &Node<'_>) -> Option<Budget> {
    let mut fields = node.fields()?;
    let usd = fields.optional("usd").map(|node| read_usd(&node));
    let tokens = fields.optional("tokens").map(|node| {
        let number = node.number()?;
        let fits = (1..=MAX_BUDGET_TOKENS).contains(&number);
        node.check(fits.then_some(number), "expected 1 to 9000000000000000 tokens")
    });
    let per = fields.required("per").and_then(|node| node.choice(&Period::ALL));
    let timezone = fields.optional("timezone").map_or(Some("UTC"), |node| {
        let name = node.text()?;
        node.check(Some(name).filter(|name| is_zone(name)), TIMEZONE_EXPECTED)
    });
    fields.finish();
    let amount = match (usd, tokens) {
        (Some(usd), None) => Some((Unit::Usd, usd?)),
        (None, Some(tokens)) => Some((Unit::Tokens, tokens?)),
        _ => node.check(None, "expected either `usd` or `tokens`"),
    };
    let (unit, amount) = amount?;
    Some(Budget { unit, amount, per: per?, timezone: timezone?.to_owned() })
}

fn read_usd(node: &Node<'_>) -> Option<u64> {
    let usd = node.decimal().and_then(|text| Nano::from_usd(&text)).map(|usd| usd.0);
    let fits = |usd: &u64| (1..=MAX_BUDGET_USD.saturating_mul(1_000_000_000)).contains(usd);
    node.check(usd.filter(fits), USD_EXPECTED)
}

/// Tells whether a text has the form of a time zone's name. The names themselves are checked where they are known.
fn is_zone(name: &str) -> bool {
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    };
    name.len() <= 64 && name.split('/').all(is_part)
}

impl BudgetRules {
    /// Returns the policy's budget of a caller: its own, else that of its rule, else that of every token.
    pub(crate) fn of_token<'b>(&'b self, caller: &'b CallerRecord) -> Option<&'b Budget> {
        self.own.get(&caller.digest).or(caller.budget.as_deref()).or(self.token.as_ref())
    }
}
