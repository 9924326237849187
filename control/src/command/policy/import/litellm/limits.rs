//! The limits of a LiteLLM key, and those of its team, its membership and its user, which bound all of their keys together.

use std::collections::BTreeSet;

use keyswap_core::limit::{CallerLimit, MAX_BUDGET_USD, Period};
use keyswap_core::price::Nano;
use serde_json::{Map, Value, json};

use crate::command::policy::import::draft::is_empty;
use crate::command::policy::import::token::Token;

/// The members by which LiteLLM limits what a policy does not count, in a record or in its `metadata`.
pub(super) const UNCOUNTED: [&str; 13] = [
    "max_parallel_requests",
    "tpd_limit",
    "model_max_budget",
    "budget_limits",
    "model_rpm_limit",
    "model_tpm_limit",
    "model_itpm_limit",
    "model_otpm_limit",
    "rpm_limit_per_model",
    "tpm_limit_per_model",
    "mcp_rpm_limit",
    "tag_rpm_limit",
    "temp_budget_increase",
];

/// A record with limits: its owner in a line, and whether other keys share the limits.
pub(super) struct Limited<'v> {
    pub(super) whose: &'static str,
    pub(super) record: &'v Value,
    pub(super) is_shared: bool,
}

/// The limits of a key that a policy keeps, and those that it does not.
#[derive(Default)]
pub(super) struct Limits {
    requests: Option<u32>,
    tokens: Option<u32>,
    budgets: Vec<Budget>,
    /// Names of limits that no policy has.
    pub(super) uncounted: BTreeSet<String>,
    /// Reasons for which LiteLLM refuses the key.
    pub(super) refused: Vec<String>,
    /// The owners whose limits the key shares with others.
    shared: BTreeSet<&'static str>,
}

/// An amount of money, and the window of the calendar that it lasts; otherwise the reason for which none is as long.
struct Budget {
    whose: &'static str,
    usd: Nano,
    per: Result<Period, String>,
}

impl Limits {
    /// Reads the limits of one record.
    pub(super) fn read(&mut self, limited: &Limited<'_>) {
        let Limited { whose, record, is_shared } = limited;
        for (name, least) in [("rpm_limit", &mut self.requests), ("tpm_limit", &mut self.tokens)] {
            let Some(value) = record.get(name).filter(|it| !it.is_null()) else { continue };
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            let number = number.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
            // 0 is no limit of Keyswap's: a key with it could not be used.
            match number.filter(|number| CallerLimit::new(Some(*number), None, 60).is_some()) {
                Some(number) => {
                    *least = Some(least.map_or(number, |least| least.min(number)));
                    self.shared.extend(is_shared.then_some(*whose));
                }
                None => self.refused.push(format!("{whose}`{name}` is not a valid rate limit")),
            }
        }
        let metadata = record.get("metadata").unwrap_or(&Value::Null);
        for name in UNCOUNTED {
            let is_set =
                |record: &Value| record.get(name).is_some_and(|it| it.as_f64() == Some(0.0) || !is_empty(it));
            if is_set(record) || is_set(metadata) {
                self.uncounted.insert(name.to_owned());
            }
        }
        self.read_budget(whose, record);
    }

    fn read_budget(&mut self, whose: &'static str, record: &Value) {
        let Some(budget) = record.get("max_budget").filter(|it| !it.is_null()) else { return };
        let text = budget.as_str().map_or_else(|| budget.to_string(), str::to_owned);
        let duration = record.get("budget_duration").and_then(Value::as_str);
        let usd = match Nano::from_usd(&text) {
            Some(Nano(0)) => return self.refused.push(format!("{}budget is 0", its(whose))),
            None if text.starts_with('-') => {
                return self.refused.push(format!("{}budget is below 0", its(whose)));
            }
            usd => usd,
        };
        let number =
            |name: &str| record.get(name).and_then(|it| it.as_f64().or_else(|| it.as_str()?.parse().ok()));
        if number("spend").zip(number("max_budget")).is_some_and(|(spend, budget)| spend >= budget) {
            self.refused.push(format!("{}budget is used up", its(whose)));
        }
        let per = match (usd, duration.and_then(window)) {
            (None, _) => Err("it is no amount of dollars with at most nine decimals".to_owned()),
            (Some(usd), _) if usd.0 > MAX_BUDGET_USD.saturating_mul(1_000_000_000) => {
                Err("it is too large".to_owned())
            }
            (Some(_), Some(per)) => Ok(per),
            (Some(_), None) => {
                let lasts = duration.map_or_else(|| "for ever".to_owned(), |it| format!("for `{it}`"));
                Err(format!("it lasts {lasts}, and not for an hour, a day, a week or a month"))
            }
        };
        self.budgets.push(Budget { whose, usd: usd.unwrap_or_default(), per });
    }

    /// Writes the limits that a policy keeps to the token. Returns the reasons for which a budget is not kept.
    pub(super) fn write(&self, token: &mut Token, has_registry: bool) -> Vec<String> {
        let mut limit = Map::new();
        limit.extend(self.requests.map(|requests| ("requests".to_owned(), requests.into())));
        limit.extend(self.tokens.map(|tokens| ("tokens".to_owned(), tokens.into())));
        if !limit.is_empty() {
            limit.insert("per".to_owned(), "60s".into());
            token.rate_limit = Some(limit.into());
        }
        let mut shared = self.shared.clone();
        let mut reasons = Vec::new();
        let mut kept: Option<(Period, Nano)> = None;
        for Budget { whose, usd, per } in &self.budgets {
            let reason = match per {
                Err(reason) => reason.clone(),
                Ok(_) if !has_registry => "a registry keeps budgets; add `--registry`".to_owned(),
                Ok(per) if kept.is_none_or(|(window, _)| window == *per) => {
                    let least = kept.map_or(usd.0, |(_, least)| least.0.min(usd.0));
                    kept = Some((*per, Nano(least)));
                    shared.extend((!whose.is_empty()).then_some(*whose));
                    continue;
                }
                Ok(_) => "a token has one budget, and another window has it".to_owned(),
            };
            reasons.push(format!("{whose}`max_budget` is not imported: {reason}"));
        }
        token.budget = kept.map(|(per, usd)| json!({"usd": usd.to_string(), "per": per.name()}));
        for whose in shared {
            let owner = whose.trim_start_matches("its ").trim_end_matches("'s ");
            token.note(format!(
                "limits of its {owner} hold for all of its keys together in LiteLLM, and here for each"
            ));
        }
        reasons
    }
}

/// Returns the beginning of a sentence about a key's own budget, or about that of its owner.
fn its(whose: &str) -> &str {
    if whose.is_empty() { "its " } else { whose }
}

/// Returns the calendar's window that a LiteLLM budget lasts, which begins with the calendar there, too. `None` where no
/// window is as long.
fn window(duration: &str) -> Option<Period> {
    match duration {
        "1h" | "60m" | "3600s" => Some(Period::Hour),
        "1d" | "24h" | "86400s" => Some(Period::Day),
        "7d" | "1w" => Some(Period::Week),
        "30d" | "1mo" => Some(Period::Month),
        _ => None,
    }
}
