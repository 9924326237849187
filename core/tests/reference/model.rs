//! The decision as the book tells it: slow, and by reading a diary from its end. Nothing here is taken from the engine.
//!
//! Where the book leaves the engine a choice, such as when to ask the registry again, the model takes the calls that were
//! made and says what may follow from them.

use super::script::{
    Ask, DISABLED, EXPIRES, EXPIRING, HEADERS, Limit, OF_REGISTRY, Policy, REQUESTS, Record, TOKENS,
};

/// Milliseconds from the beginning.
pub(super) type Time = i64;

/// A word of the registry on a token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A record, with the number of its change.
    Record(Record, u64),
    Unknown,
    /// An answer that is none of the registry's.
    Senseless,
    /// No answer, or that it can give none.
    Away,
}

/// A line of the diary.
#[derive(Clone, Debug)]
enum Line {
    /// A worker asked for a token.
    Heard { worker: usize, token: usize, at: Time, word: Word },
    /// A worker heard that these tokens changed.
    Told { worker: usize, changes: Vec<(usize, u64)> },
    /// A request of a token came to its limit.
    Counted { token: usize, at: Time },
}

/// The knowledge of a token.
enum Known {
    Record(Record),
    /// A record that another worker heard of, with the number of its change and the time.
    Adopted(Record, u64, Time),
    Unknown,
    Unavailable,
}

/// A way in which a request may end, and what the diary then has of it.
pub(super) struct End {
    pub(super) text: String,
    lines: Vec<Line>,
}

#[derive(Default)]
pub(super) struct Model {
    diary: Vec<Line>,
}

impl Model {
    pub(super) fn tell(&mut self, worker: usize, changes: Vec<(usize, u64)>) {
        self.diary.push(Line::Told { worker, changes });
    }

    pub(super) fn hear(&mut self, worker: usize, token: usize, at: Time, word: Word) {
        self.diary.push(Line::Heard { worker, token, at, word });
    }

    /// Notes how a request ended.
    pub(super) fn end(&mut self, end: &End) {
        self.diary.extend(end.lines.iter().cloned());
    }

    /// Returns the ways in which a request may end. `calls` are the tokens that it waited for, which were heard just now.
    pub(super) fn ends(&self, policy: &Policy, ask: &Ask, now: Time, calls: &[(usize, Word)]) -> Vec<End> {
        let (method, path) = REQUESTS[ask.request];
        if method == "PROPFIND" {
            return vec![refused(405, "method_not_allowed", None)];
        }
        if path.contains("..") {
            return vec![refused(400, "path_invalid", None)];
        }
        // Every slot that is judged holds one credential at most.
        let held = |slot: &'static str| ask.slots.iter().filter(move |(other, _)| *other == slot);
        if policy.slots.iter().any(|slot| held(slot).count() > 1) {
            return vec![refused(400, "credential_ambiguous", None)];
        }
        let found: Vec<_> = policy.slots.iter().flat_map(|slot| held(slot)).copied().collect();
        let Some((slot, token)) = found.first().copied() else {
            return vec![refused(401, "credential_missing", None)];
        };
        let mut others: Vec<_> = found.iter().copied().filter(|(_, other)| *other != token).collect();
        if policy.refuses_second && !others.is_empty() {
            return vec![refused(400, "credential_ambiguous", None)];
        }
        let second = others.first().copied();
        others.retain(|other| Some(other.1) != second.map(|second| second.1));
        let second = second.filter(|_| others.is_empty());

        let mut ends = Vec::new();
        for known in self.known(policy, ask.worker, token, now, calls) {
            match (known, second) {
                (Known::Unknown, Some((slot, token))) => {
                    for known in self.known(policy, ask.worker, token, now, calls) {
                        ends.push(self.judge(policy, ask, (slot, token), known, now));
                    }
                }
                (known, _) => ends.push(self.judge(policy, ask, (slot, token), known, now)),
            }
        }
        ends
    }

    /// Judges a request by what is known of its token.
    fn judge(
        &self,
        policy: &Policy,
        ask: &Ask,
        (slot, token): (&str, usize),
        known: Known,
        now: Time,
    ) -> End {
        let mut lines = Vec::new();
        let record = match known {
            Known::Record(record) => record,
            Known::Adopted(record, number, at) => {
                let word = Word::Record(record.clone(), number);
                lines.push(Line::Heard { worker: ask.worker, token, at, word });
                record
            }
            Known::Unknown => return refused(401, "token_invalid", None),
            Known::Unavailable => return refused(503, "token_store_unavailable", Some(1)),
        };
        let end = self.judge_record(policy, ask, (slot, token), &record, now);
        End { lines: [lines, end.lines].concat(), ..end }
    }

    fn judge_record(
        &self,
        policy: &Policy,
        ask: &Ask,
        (slot, token): (&str, usize),
        record: &Record,
        now: Time,
    ) -> End {
        if !record.is_active {
            return refused(401, "token_invalid", None);
        }
        if record.expires.is_some_and(|second| second * 1000 <= now) {
            return refused(401, "token_expired", None);
        }
        let provider = provider(ask, slot);
        if !record.scope.contains(&provider) {
            return refused(403, "provider_not_allowed", None);
        }
        let Some(path) = upstream_path(provider, REQUESTS[ask.request].1) else {
            return refused(403, "endpoint_not_allowed", None);
        };
        if path == "/v1/files" {
            return refused(403, "endpoint_class_not_allowed", None);
        }
        let own = policy.own_limit.filter(|_| token == 0);
        let Some(limit) = own.or(policy.limit) else {
            return End { text: forwarded(provider, path, ask, token, ""), lines: Vec::new() };
        };
        let (left, is_allowed) = self.left(token, limit, now);
        let (interval, full) = (limit.1 * 1000 / limit.0, limit.1 * 1000);
        let up = |milliseconds: i64| (milliseconds + 999) / 1000;
        let told = format!(
            "ratelimit-policy: \"token\";q={};w={}\nratelimit: \"token\";r={};t={}\n",
            limit.0,
            limit.1,
            left / interval,
            up(full - left)
        );
        let text = if is_allowed {
            forwarded(provider, path, ask, token, &told)
        } else {
            refused(429, "rate_limited", Some(up(interval - left))).text + &told
        };
        End { text, lines: vec![Line::Counted { token, at: now }] }
    }

    /// Returns what is left of a limit after a request now, in milliseconds of coming back, and whether it is allowed. All
    /// requests that ever came to the limit are counted again.
    fn left(&self, token: usize, (requests, seconds): Limit, now: Time) -> (i64, bool) {
        let (interval, full) = (seconds * 1000 / requests, seconds * 1000);
        let counted = self.diary.iter().filter_map(|line| match line {
            Line::Counted { token: other, at } => (*other == token).then_some(*at),
            _ => None,
        });
        let (mut left, mut last, mut is_allowed) = (full, None, false);
        for at in counted.chain([now]) {
            // What comes back goes again with a clock that is put back, but for no more than the whole.
            left = (left + at - last.unwrap_or(at)).clamp(0, full);
            is_allowed = left >= interval;
            left -= if is_allowed { interval } else { 0 };
            last = Some(at);
        }
        (left, is_allowed)
    }

    /// Returns what may be known of a token.
    fn known(
        &self,
        policy: &Policy,
        worker: usize,
        token: usize,
        now: Time,
        calls: &[(usize, Word)],
    ) -> Vec<Known> {
        let of_policy = |is_active, expires| Record { scope: policy.scope.clone(), is_active, expires };
        match token {
            0 => return vec![Known::Record(of_policy(true, None))],
            DISABLED => return vec![Known::Record(of_policy(false, None))],
            EXPIRING => return vec![Known::Record(of_policy(true, Some(EXPIRES)))],
            _ => {}
        }
        let Some((positive, negative)) = policy.registry else { return vec![Known::Unknown] };
        let is_within = |seconds: i64, at: Time| (0..seconds * 1000).contains(&(now - at));
        let own = self.own(worker, token);
        let call = calls.iter().find(|(other, _)| *other == token);
        let is_known = matches!(&own, Some((Word::Record(..), at)) if is_within(positive, *at));
        match (&own, call) {
            // Nothing waits for what is known, unless the clock was put back behind a word.
            (_, Some(_)) if is_known && !self.is_put_back(now) => return Vec::new(),
            (_, Some((_, Word::Record(record, _)))) => return vec![Known::Record(record.clone())],
            (_, Some((_, Word::Unknown))) => return vec![Known::Unknown],
            (_, Some((_, Word::Senseless | Word::Away))) => return vec![Known::Unavailable],
            (Some((Word::Unknown, at)), None) if is_within(negative, *at) => return vec![Known::Unknown],
            _ => {}
        }
        let mut known = Vec::new();
        if let Some((Word::Record(record, _), _)) = own.filter(|_| is_known) {
            known.push(Known::Record(record));
        }
        // Workers share memory, so one may use what another one heard.
        known.extend(self.shared(worker, token).into_iter().filter_map(|(word, at)| match word {
            Word::Record(record, number) => {
                is_within(positive, at).then_some(Known::Adopted(record, number, at))
            }
            _ => None,
        }));
        if !is_known && self.may_leave_alone(worker, token, now, negative) {
            known.push(Known::Unavailable);
        }
        known
    }

    fn is_put_back(&self, now: Time) -> bool {
        self.diary.iter().any(|line| matches!(line, Line::Heard { at, .. } if *at > now))
    }

    /// Returns the last word on a token that a worker heard and may use, with the time at which it asked.
    fn own(&self, worker: usize, token: usize) -> Option<(Word, Time)> {
        let mut newest = 0;
        for line in self.diary.iter().rev() {
            match line {
                Line::Told { worker: other, changes } if *other == worker => {
                    newest = number_of(token, changes).max(newest);
                }
                Line::Heard { worker: other, token: about, at, word }
                    if (*other, *about) == (worker, token) =>
                {
                    match word {
                        Word::Record(_, number) => return (*number >= newest).then(|| (word.clone(), *at)),
                        Word::Unknown => return (newest == 0).then(|| (word.clone(), *at)),
                        Word::Senseless | Word::Away => {}
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Returns what any worker heard of a token, the last first, as far as this worker knows of nothing newer.
    fn shared(&self, worker: usize, token: usize) -> Vec<(Word, Time)> {
        let mut newest = 0;
        let mut words = Vec::new();
        for line in self.diary.iter().rev() {
            match line {
                Line::Told { worker: other, changes } if *other == worker => {
                    newest = number_of(token, changes).max(newest);
                }
                Line::Heard { worker: other, token: about, at, word } if *about == token => match word {
                    Word::Unknown if *other == worker => break,
                    Word::Record(_, number) => {
                        words.push((word.clone(), *at));
                        newest = if *other == worker { newest.max(*number) } else { newest };
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        words.retain(|(word, _)| matches!(word, Word::Record(_, number) if *number >= newest));
        words
    }

    /// Returns whether a worker may leave the registry alone, for one of these reasons:
    /// - its answer on this token made no sense, for as long as an absence counts,
    /// - it was away five times in a row, the last time within a second.
    fn may_leave_alone(&self, worker: usize, token: usize, now: Time, negative: i64) -> bool {
        let is_within = |seconds: i64, at: Time| (0..seconds * 1000).contains(&(now - at));
        let mut away = Vec::new();
        let mut is_in_a_row = true;
        for line in self.diary.iter().rev() {
            match line {
                Line::Heard { worker: other, token: about, at, word } if *other == worker => match word {
                    Word::Senseless if *about == token && is_within(negative, *at) => return true,
                    Word::Away if is_in_a_row => away.push(*at),
                    _ => is_in_a_row = false,
                },
                _ => {}
            }
        }
        away.len() >= 5 && away.first().is_some_and(|at| is_within(1, *at))
    }

    /// Returns whether a token is one that the registry is asked for.
    pub(super) fn is_of_registry(token: usize) -> bool {
        token >= OF_REGISTRY[0]
    }
}

/// Returns the number of the last change of a token; 0 where it is not among them.
fn number_of(token: usize, changes: &[(usize, u64)]) -> u64 {
    changes.iter().filter(|(changed, _)| *changed == token).map(|(_, number)| *number).max().unwrap_or(0)
}

fn refused(status: u16, reason: &str, retry_after: Option<i64>) -> End {
    let retry = retry_after.map(|seconds| format!("retry-after: {seconds}\n")).unwrap_or_default();
    End { text: format!("{status} {reason}\n{retry}"), lines: Vec::new() }
}

/// Returns the provider of a request: by segment, path, header or slot.
fn provider(ask: &Ask, slot: &str) -> &'static str {
    let path = REQUESTS[ask.request].1;
    let has_version = ask.headers.iter().any(|header| HEADERS[*header].0 == "anthropic-version");
    match path {
        _ if path.starts_with("/groq/") => "groq",
        "/v1/messages" => "anthropic",
        _ if path.starts_with("/v1beta/") => "gemini",
        _ if has_version => "anthropic",
        _ => match slot {
            "x-api-key" => "anthropic",
            "x-goog-api-key" | "query:key" => "gemini",
            _ => "openai",
        },
    }
}

/// Returns the path at the upstream; `None` for what leads to no endpoint that may be opened.
fn upstream_path(provider: &str, path: &'static str) -> Option<&'static str> {
    match (provider, path) {
        ("openai", "/v1/chat/completions" | "/v1/models" | "/v1/files")
        | ("anthropic", "/v1/messages" | "/v1/models" | "/v1/files")
        | ("gemini", "/v1beta/models/gemini-2.5-pro:generateContent" | "/v1/models" | "/v1/files") => {
            Some(path)
        }
        ("groq", "/groq/chat/completions") => Some("/openai/v1/chat/completions"),
        _ => None,
    }
}

/// Returns the head that goes upstream.
fn forwarded(provider: &str, path: &str, ask: &Ask, token: usize, told: &str) -> String {
    let (authority, credential) = match provider {
        "openai" => ("api.openai.com", "authorization: Bearer secret-of-openai"),
        "anthropic" => ("api.anthropic.com", "x-api-key: secret-of-anthropic"),
        "gemini" => ("generativelanguage.googleapis.com", "x-goog-api-key: secret-of-gemini"),
        _ => ("api.groq.com", "authorization: Bearer secret-of-groq"),
    };
    let kept = ask.headers.iter().map(|header| HEADERS[*header]).filter(|(.., is_kept)| *is_kept);
    let mut lines: Vec<String> = kept.map(|(name, value, _)| format!("{name}: {value}")).collect();
    lines.push(credential.to_owned());
    // A header that holds the judged token does not go on.
    let note = ask.note.filter(|note| *note != token);
    lines.extend(note.map(|note| format!("x-note: see {}", TOKENS[note])));
    lines.sort_unstable();
    let method = REQUESTS[ask.request].0;
    format!("{method} https://{authority}{path}?a=%20b\n{}\n{told}", lines.join("\n"))
}
