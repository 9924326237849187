//! The counters, each with a family and labels. The words are the engine's or the policy's, so a client cannot make more
//! of them.

/// A counter: its family, and the values of the family's labels in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    /// The index of the family in [`FAMILIES`].
    pub family: usize,
    values: [&'a str; MAX_LABELS],
}

/// The most labels of a family.
pub const MAX_LABELS: usize = 3;

/// The families with their labels.
pub const FAMILIES: [(&str, &[&str]); 12] = [
    ("decisions", &["verdict", "reason", "provider"]),
    ("lookups", &["from"]),
    ("fetches", &["kind", "outcome"]),
    ("shadow_decisions", &["verdict", "reason", "provider"]),
    ("comparisons", &["result", "decided_by"]),
    ("divergences", &["stable", "candidate", "provider"]),
    ("fallbacks", &[]),
    ("ended", &["reason", "provider"]),
    ("usage", &["outcome", "provider", "model"]),
    ("tokens", &["kind", "provider", "model"]),
    ("spend_nano_usd", &["provider", "model"]),
    ("key_rejections", &["status", "provider"]),
];

/// The gauges, each by [`GAUGE_LABEL`]. All workers write the same ones, so a value is that of the worker which last tried to
/// renew the key set: the newest knowledge of the issuer. A worker that no request asks has an older set, and that is no fault.
pub const GAUGES: [&str; 2] = ["key_set_fetched_timestamp_seconds", "key_set_failures"];

/// The label of the gauges. Its value is the policy's.
pub const GAUGE_LABEL: &str = "issuer";

/// The counters that alerts watch for single events. Hosts count them from zero: to Prometheus it is no growth when a counter
/// that was not there is one.
pub const WATCHED: [Metric<'static>; 10] = [
    Metric { family: 6, values: ["", "", ""] },
    Metric::decision("reply", "policy_unavailable", "none"),
    Metric::decision("reply", "host_failure", "none"),
    Metric::fetch("bundle", "malformed"),
    Metric::fetch("bundle", "unavailable"),
    Metric::fetch("bundle", "failed"),
    Metric { family: 4, values: ["same", "stable", ""] },
    Metric { family: 4, values: ["same", "candidate", ""] },
    Metric { family: 4, values: ["different", "stable", ""] },
    Metric { family: 4, values: ["different", "candidate", ""] },
];

impl<'a> Metric<'a> {
    /// Returns the counter of a decision.
    pub(crate) const fn decision(verdict: &'a str, reason: &'a str, provider: &'a str) -> Self {
        Self { family: 0, values: [verdict, reason, provider] }
    }

    /// Returns the counter of a lookup.
    pub(crate) const fn lookup(from: &'a str) -> Self {
        Self { family: 1, values: [from, "", ""] }
    }

    /// Returns the counter of a fetch.
    pub(crate) const fn fetch(kind: &'a str, outcome: &'a str) -> Self {
        Self { family: 2, values: [kind, outcome, ""] }
    }

    /// Returns the counter of a key.
    pub(crate) const fn of_key(family: usize, values: [&'a str; MAX_LABELS]) -> Self {
        Self { family, values }
    }

    /// Reads a name: `keyswap.<family>`, then each label and its value. Only the last value can hold a dot.
    pub fn of_name(name: &'a str) -> Option<Self> {
        let name = name.strip_prefix("keyswap.")?;
        let (word, mut rest) = name.split_once('.').unwrap_or((name, ""));
        let family = FAMILIES.iter().position(|(family, _)| *family == word)?;
        let (_, labels) = FAMILIES.get(family)?;
        let mut values = [""; MAX_LABELS];
        for (place, label) in values.iter_mut().zip(*labels) {
            let value = rest.strip_prefix(label)?.strip_prefix('.')?;
            let is_last = labels.last() == Some(label);
            (*place, rest) = if is_last { (value, "") } else { value.split_once('.')? };
        }
        rest.is_empty().then_some(Self { family, values })
    }

    /// Returns a number and words that no other counter has.
    pub const fn key(&self) -> (usize, [&'a str; MAX_LABELS]) {
        (self.family, self.values)
    }

    /// Returns the family, with the names and the values of its labels.
    pub fn parts(&self) -> (&'static str, impl Iterator<Item = (&'static str, &'a str)>) {
        let (family, labels) = FAMILIES.get(self.family).copied().unwrap_or_default();
        (family, labels.iter().copied().zip(self.values))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{FAMILIES, GAUGE_LABEL, Metric, WATCHED};

    fn at(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    fn sources(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: PathBuf| {
            if path.is_dir() { sources(&path) } else { vec![fs::read_to_string(path).unwrap()] }
        };
        entries.flat_map(read).collect()
    }

    /// Returns the names of counters in a source, with a word in each place of a value.
    fn counters(source: &str) -> impl Iterator<Item = String> {
        // A number follows in the keys of shared memory.
        let is_counter = |text: &&str| {
            text.strip_prefix("keyswap.")
                .is_some_and(|rest| !rest.starts_with(|it: char| it.is_ascii_digit()))
        };
        source.split('"').filter(is_counter).map(|name| {
            let parts = name.split('{').map(|part| part.split_once('}').map_or(part, |(_, behind)| behind));
            parts.collect::<Vec<_>>().join("x")
        })
    }

    #[test]
    fn every_counter_that_the_engine_names_is_of_a_family_and_every_family_is_counted() {
        // Decisions without a body, lookups and fetches are counted here.
        let mut counted: BTreeSet<&str> = ["decisions", "lookups", "fetches"].into();
        let sources = sources(&at("core/src"));
        for name in sources.iter().flat_map(|source| counters(source)) {
            let metric = Metric::of_name(&name)
                .unwrap_or_else(|| panic!("{name} is of no family, so it is not counted"));
            counted.insert(metric.parts().0);
        }
        let families: BTreeSet<&str> = FAMILIES.iter().map(|(family, _)| *family).collect();
        assert_eq!(families, counted);
    }

    #[test]
    fn the_labels_of_the_module_are_those_that_the_rules_make_of_the_filters_names() {
        let rules = fs::read_to_string(at("control/src/command/render/templates/stats_tags.yaml")).unwrap();
        let rules: BTreeSet<&str> = rules
            .split("tag_name: keyswap_")
            .skip(1)
            .filter_map(|rule| Some(rule.split_once(',')?.0))
            .collect();
        let labels = FAMILIES.iter().flat_map(|(_, labels)| labels.iter().copied());
        let labels: BTreeSet<&str> = labels.chain([GAUGE_LABEL]).collect();
        assert_eq!(labels, rules);
    }

    #[test]
    fn what_alerts_look_for_in_single_events_is_counted_from_zero() {
        let alerts = fs::read_to_string(at("envoy/prometheus/alerts.yaml")).unwrap();
        let mut looks = 0;
        for expression in alerts.split("increase(keyswap_").skip(1) {
            let expression = expression.split_once('[').unwrap().0;
            if expression.starts_with("registry_") {
                continue;
            }
            let (family, matchers) = expression.split_once('{').unwrap_or((expression, ""));
            let fits = |(label, value): (&str, &str)| {
                let wanted = matchers.split_once(&format!("keyswap_{label}="));
                let wanted =
                    wanted.map(|(_, rest)| rest.trim_start_matches(['~', '"']).split('"').next().unwrap());
                wanted.is_none_or(|wanted| wanted.split('|').any(|one| one == value))
            };
            let is_watched = |metric: &&Metric<'_>| metric.parts().0 == family && metric.parts().1.all(fits);
            assert!(WATCHED.iter().any(|metric| is_watched(&metric)), "{expression} begins at one");
            looks += 1;
        }
        assert!(looks >= 2, "{looks} alerts look for single events");
    }

    fn shown(name: &str) -> Option<String> {
        let metric = Metric::of_name(name)?;
        let (family, labels) = metric.parts();
        Some(
            labels
                .fold(format!("keyswap.{family}"), |name, (label, value)| format!("{name}.{label}.{value}")),
        )
    }

    #[test]
    fn a_name_is_read_into_its_labels() {
        for name in [
            "keyswap.fallbacks",
            "keyswap.ended.reason.token_revoked.provider.openai",
            "keyswap.key_rejections.status.401.provider.openai",
            "keyswap.usage.outcome.metered.provider.openai.model.gpt-4.1-mini",
            "keyswap.spend_nano_usd.provider.openai.model.provider.model.x",
            "keyswap.divergences.stable.allowed.candidate.token_unknown.provider.openai",
        ] {
            assert_eq!(shown(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_name_of_no_family_or_with_other_labels_is_not_read() {
        for name in
            ["decisions", "keyswap.other", "keyswap.fallbacks.x", "keyswap.ended.reason.x", "keyswap.ended"]
        {
            assert_eq!(shown(name), None, "{name}");
        }
    }
}
