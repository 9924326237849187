//! The requests of an access log that a new policy decides differently, grouped by change.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

use keyswap_core::answer::Reason;
use keyswap_core::base::UnixTime;
use keyswap_core::judge::{ALLOWED, NotReplayable, ReplayCharge, ReplayOutcome, ReplayPolicy, ReplayVerdict};
use keyswap_core::price::Nano;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::access_log::{self, Line, Logged};
use super::accounts::{Accounts, Charging, Waiting};
use super::spend::Spend;
use crate::command::policy::report::count;
use crate::command::terminal::output::visible;

/// The largest number of groups in the report. Changes beyond it are only counted.
const MAX_GROUPS: usize = 1000;

/// The longest label, model and path in the report, in characters.
const MAX_CHARS: usize = 300;

/// The results for the requests of a log.
#[derive(Default)]
pub(super) struct Report {
    judged: usize,
    changed: usize,
    groups: BTreeMap<Group, Members>,
    /// The number of changes beyond [`MAX_GROUPS`].
    ungrouped: usize,
    unjudged: BTreeMap<NotReplayable, usize>,
    incomplete: usize,
    foreign: usize,
    spend: Spend,
}

/// A request that both policies have judged.
struct Judged {
    before: ReplayVerdict,
    after: ReplayVerdict,
    charge: Option<Box<ReplayCharge>>,
    at: UnixTime,
    label: String,
    model: String,
    cost: Option<Nano>,
    example: String,
}

/// Requests of one label with the same change.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    before: ReplayVerdict,
    after: ReplayVerdict,
    label: String,
}

struct Members {
    count: usize,
    example: String,
}

/// Judges every request of the log under both policies.
pub(super) fn replay(before: &ReplayPolicy, after: &ReplayPolicy, log: &Path) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let (mut waiting, mut accounts) = (Waiting::default(), Accounts::default());
    let now = crate::command::policy::time::time(None)?.unix();
    access_log::read(log, now, |line| match line {
        Line::Foreign => report.foreign += 1,
        Line::Incomplete => report.incomplete += 1,
        Line::Request(logged) => match before.replay(&logged.request, after) {
            ReplayOutcome::NotReplayable(why) => *report.unjudged.entry(why).or_default() += 1,
            ReplayOutcome::Judged { before, after, charge } => {
                let judged = Judged::new(before, after, charge, &logged);
                if !judged.takes_budgets() {
                    report.take(judged);
                } else if let Some(next) = waiting.put(judged.at, judged) {
                    report.charge(next, &mut accounts);
                }
            }
        },
    })?;
    while let Some(next) = waiting.next() {
        report.charge(next, &mut accounts);
    }
    Ok(report)
}

impl Judged {
    fn new(
        before: ReplayVerdict,
        after: ReplayVerdict,
        charge: Option<Box<ReplayCharge>>,
        logged: &Logged<'_>,
    ) -> Self {
        let request = &logged.request;
        Self {
            before,
            after,
            charge,
            at: request.at,
            label: shortened(logged.label),
            model: shortened(request.model),
            cost: request.cost,
            example: format!("{} {} at {}", request.method, shortened(request.path), request.at),
        }
    }

    /// Returns whether the new policy may charge a budget.
    fn takes_budgets(&self) -> bool {
        let budgets = self.charge.as_ref().map(|charge| &charge.budgets);
        let may_have = budgets.is_some_and(|budgets| budgets.as_ref().is_none_or(|all| !all.is_empty()));
        may_have && self.after.reason == ALLOWED
    }
}

/// Returns a text, or its beginning where it is long: requests are kept until they are in order, and a line is long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

impl Report {
    /// Returns true if there are lines, and none is an entry of the access log.
    pub(super) fn is_of_another_log(&self) -> bool {
        self.read() > 0 && self.foreign == self.read()
    }

    /// Returns true if the policies decide a recorded request differently.
    pub(super) fn changes(&self) -> bool {
        self.changed > 0
    }

    /// Charges a request to the budgets of the new policy, which may refuse it.
    fn charge(&mut self, mut judged: Judged, accounts: &mut Accounts) {
        if let Some(charge) = &judged.charge {
            match accounts.charge(judged.at, charge) {
                Charging::Counted => self.spend.note_counted(),
                Charging::Refused => {
                    self.spend.note_counted();
                    judged.after.reason = Reason::BudgetExceeded.code();
                }
                Charging::NotCounted(why) => self.spend.note_uncounted(why),
            }
        }
        self.take(judged);
    }

    fn take(&mut self, judged: Judged) {
        let Judged { before, after, charge, label, model, cost, example, .. } = judged;
        self.judged += 1;
        self.spend.add((&before, &after), &model, cost, charge.as_deref());
        if before == after {
            return;
        }
        self.changed += 1;
        let has_room = self.groups.len() < MAX_GROUPS;
        let group = Group { before, after, label };
        if let Some(members) = self.groups.get_mut(&group) {
            members.count += 1;
        } else if has_room {
            self.groups.insert(group, Members { count: 1, example });
        } else {
            self.ungrouped += 1;
        }
    }

    fn read(&self) -> usize {
        self.judged + self.unjudged()
    }

    fn unjudged(&self) -> usize {
        self.unjudged.values().sum::<usize>() + self.incomplete + self.foreign
    }

    /// Returns the groups, the largest first.
    fn sorted(&self) -> Vec<(&Group, &Members)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.count));
        groups
    }

    /// Returns the number of lines that were not judged by reason: count, code, words.
    fn left(&self) -> impl Iterator<Item = (usize, &'static str, &'static str)> {
        let of_policies = self.unjudged.iter().map(|(why, count)| (*count, why.code(), why.message()));
        let of_log = [
            (
                self.incomplete,
                "incomplete",
                "lines without method, path, provider or reason: not decided by the filter",
            ),
            (self.foreign, "foreign", "lines that are not entries of the access log"),
        ];
        of_policies.chain(of_log).filter(|(count, ..)| *count > 0)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} judged, {} changed", count(self.read(), "line"), self.judged, self.changed)?;
        for (group, Members { count, example }) in self.sorted() {
            let label = if group.label.is_empty() { "(no label)".to_owned() } else { visible(&group.label) };
            writeln!(f, "  {count:>8}  {label}, {group}")?;
            writeln!(f, "            such as {}", visible(example))?;
        }
        if self.ungrouped > 0 {
            writeln!(f, "  {:>8}  others", self.ungrouped)?;
        }
        write!(f, "{}", self.spend)?;
        if self.unjudged() > 0 {
            writeln!(f, "not judged: {}", self.unjudged())?;
        }
        self.left().try_for_each(|(count, _, why)| writeln!(f, "  {count:>8}  {why}"))
    }
}

impl Display for Group {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { before, after, .. } = self;
        write!(f, "{}: {} → {}", before.provider, before.reason, after.reason)?;
        if before.provider == after.provider { Ok(()) } else { write!(f, " at {}", after.provider) }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outlook =
            |outlook: &ReplayVerdict| json!({"reason": outlook.reason, "provider": outlook.provider});
        let group = |(group, members): (&Group, &Members)| {
            json!({
                "before": outlook(&group.before),
                "after": outlook(&group.after),
                "label": group.label,
                "count": members.count,
                "example": members.example,
            })
        };
        let unjudged = self.left().map(|(count, code, _)| (code.to_owned(), count.into()));
        json!({
            "lines": self.read(),
            "judged": self.judged,
            "changed": self.changed,
            "groups": self.sorted().into_iter().map(group).collect::<Value>(),
            "ungrouped": self.ungrouped,
            "spend": self.spend,
            "unjudged": unjudged.collect::<serde_json::Map<_, _>>(),
        })
        .serialize(serializer)
    }
}
