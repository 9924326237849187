//! The requests of an access log that a new policy decides differently, grouped by change.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

use keyswap_core::judge::{NotReplayable, ReplayOutcome, ReplayPolicy, ReplayVerdict};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::access_log::{self, Line, Logged};
use crate::command::policy::report::count;
use crate::command::terminal::output::visible;

/// The largest number of groups in the report. Changes beyond it are only counted.
const MAX_GROUPS: usize = 1000;

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
    let now = crate::command::policy::time::time(None)?.unix();
    access_log::read(log, now, |line| match line {
        Line::Foreign => report.foreign += 1,
        Line::Incomplete => report.incomplete += 1,
        Line::Request(logged) => match before.replay(&logged.request, after) {
            ReplayOutcome::NotReplayable(why) => *report.unjudged.entry(why).or_default() += 1,
            ReplayOutcome::Judged { before, after } => report.judge(before, after, &logged),
        },
    })?;
    Ok(report)
}

impl Report {
    /// Returns true if the policies decide a recorded request differently.
    pub(super) fn changes(&self) -> bool {
        self.changed > 0
    }

    fn judge(&mut self, before: ReplayVerdict, after: ReplayVerdict, logged: &Logged<'_>) {
        self.judged += 1;
        if before == after {
            return;
        }
        self.changed += 1;
        let has_room = self.groups.len() < MAX_GROUPS;
        let group = Group { before, after, label: logged.label.to_owned() };
        if let Some(members) = self.groups.get_mut(&group) {
            members.count += 1;
        } else if has_room {
            let request = &logged.request;
            let example = format!("{} {} at {}", request.method, request.path, request.at);
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
            "unjudged": unjudged.collect::<serde_json::Map<_, _>>(),
        })
        .serialize(serializer)
    }
}
