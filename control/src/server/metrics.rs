//! `GET /metrics`: usage, budgets, leases, objects, credentials and TLS in Prometheus's text format.
//!
//! Sums are of all time and never go down, also when old usage is deleted. Labels come from rows whose number is bounded.
//! Every replica answers the same numbers: scrape one, or take the maximum. Only the counts of events and the state of TLS
//! are those of one process.
//!
//! Usage has the names of OpenTelemetry's conventions, too. The registry knows sums and no single request, so their
//! histogram has one bucket.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::header;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;

use super::bearer;
use super::connections::TlsState;
use super::counters::Counters;
use super::problem::Problem;
use super::state::State;
use crate::export::provider_name;
use crate::kubernetes::NamespaceStatus;
use crate::registry::{BudgetState, Credential, Payer, Reach, Unit, UsageTotal, amount, now};

/// The budgets of policies whose state is answered.
const MAX_BUDGETS: i64 = 500;

/// The times within which expiring tokens are counted, in seconds.
const EXPIRING_WITHIN: [(&str, i64); 2] = [("1d", 86_400), ("7d", 7 * 86_400)];

/// The Secrets with faults that are named, of each namespace.
const MAX_FAULTY_SECRETS: usize = 20;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn router(state: &State) -> Router<State> {
    Router::new()
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(state.clone(), bearer::require_metrics))
}

async fn metrics(Extract(state): Extract<State>) -> Result<impl IntoResponse, Problem> {
    let (registry, now) = (state.registry(), now());
    let mut text = Text(String::new());
    let totals = registry.usage_totals().await?;
    text.usage(&totals);
    text.gen_ai(&totals);
    let mut budgets = registry.budgets(&Reach::All, now).await?;
    budgets.append(&mut registry.budgets_of_policies(&Reach::All, MAX_BUDGETS, now).await?);
    text.budgets(&budgets);
    text.name("keyswap_registry_leases", "gauge", "Leases of budgets that data planes hold.");
    text.sample("keyswap_registry_leases", &[], &registry.live_leases(now).await?.to_string());
    text.name("keyswap_registry_objects", "gauge", "Objects of callers at providers.");
    for (provider, kind, count) in registry.object_counts().await? {
        let labels = [("provider", provider.as_str()), ("kind", kind.as_str())];
        text.sample("keyswap_registry_objects", &labels, &count.to_string());
    }
    text.name(
        "keyswap_registry_tokens_expiring",
        "gauge",
        "Tokens without a successor that expire within a time.",
    );
    for (within, seconds) in EXPIRING_WITHIN {
        let count = registry.expiring_tokens(now, seconds).await?;
        text.sample("keyswap_registry_tokens_expiring", &[("within", within)], &count.to_string());
    }
    text.credentials(&registry.credentials().await?);
    text.tls(state.options().tls.as_ref());
    text.events(state.counters());
    if let Some(status) = &state.options().kubernetes {
        text.secrets(&status.namespaces());
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text.0))
}

/// The name of a metric, its help, and its value for a row.
type Metric<Row> = (&'static str, &'static str, fn(&Row) -> String);

/// A text in Prometheus's format.
struct Text(String);

impl Text {
    fn name(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn usage(&mut self, totals: &[UsageTotal]) {
        let counters: [Metric<UsageTotal>; 4] = [
            ("keyswap_registry_requests_total", "Requests that data planes reported.", |total| {
                total.counts.requests.to_string()
            }),
            ("keyswap_registry_unmetered_requests_total", "Requests whose usage is not known.", |total| {
                total.counts.unmetered.to_string()
            }),
            ("keyswap_registry_unpriced_requests_total", "Requests whose model has no price.", |total| {
                total.counts.unpriced.to_string()
            }),
            ("keyswap_registry_cost_dollars_total", "Cost by the price table of the policies.", |total| {
                amount::dollars(total.counts.cost)
            }),
        ];
        for (name, help, value) in counters {
            self.name(name, "counter", help);
            for total in totals {
                self.sample(name, &labels(total), &value(total));
            }
        }
        let name = "keyswap_registry_tokens_total";
        self.name(name, "counter", "Tokens that were used. The types cached and cache_write are parts of input, reasoning of output.");
        for total in totals {
            let counts = &total.counts;
            for (kind, number) in [
                ("input", counts.input),
                ("cached", counts.cached),
                ("cache_write", counts.cache_write),
                ("output", counts.output),
                ("reasoning", counts.reasoning),
                ("audio", counts.audio),
            ] {
                let [team, provider, model] = labels(total);
                self.sample(name, &[team, provider, model, ("type", kind)], &number.to_string());
            }
        }
    }

    /// Writes usage under the names of OpenTelemetry's conventions.
    fn gen_ai(&mut self, totals: &[UsageTotal]) {
        let name = "gen_ai_client_token_usage";
        self.name(
            name,
            "histogram",
            "Number of input and output tokens used. The only bucket has all requests.",
        );
        for total in totals {
            let counts = &total.counts;
            let requests = counts.requests.saturating_sub(counts.unmetered).to_string();
            for (kind, tokens) in [("input", counts.input), ("output", counts.output)] {
                let [provider, model, team] = gen_ai_labels(total);
                let labels = [provider, model, team, ("gen_ai_token_type", kind)];
                let with_bound = [provider, model, team, ("gen_ai_token_type", kind), ("le", "+Inf")];
                self.sample(&format!("{name}_bucket"), &with_bound, &requests);
                self.sample(&format!("{name}_sum"), &labels, &tokens.to_string());
                self.sample(&format!("{name}_count"), &labels, &requests);
            }
        }
        let counters: [Metric<UsageTotal>; 5] = [
            ("input_tokens", "Input tokens, those of caches among them.", |it| it.counts.input.to_string()),
            ("output_tokens", "Output tokens.", |it| it.counts.output.to_string()),
            ("cache_read_input_tokens", "Input tokens that were read from a cache.", |it| {
                it.counts.cached.to_string()
            }),
            ("cache_write_input_tokens", "Input tokens that were written to a cache.", |it| {
                it.counts.cache_write.to_string()
            }),
            ("reasoning_output_tokens", "Output tokens that the caller does not see.", |it| {
                it.counts.reasoning.to_string()
            }),
        ];
        for (of, help, value) in counters {
            let name = format!("gen_ai_client_inference_usage_{of}_total");
            self.name(&name, "counter", help);
            for total in totals {
                let [provider, model, team] = gen_ai_labels(total);
                let labels = [provider, model, team, ("gen_ai_token_modality", "unknown")];
                self.sample(&name, &labels, &value(total));
            }
        }
    }

    /// Writes the last use of each credential that was used, to a minute.
    fn credentials(&mut self, credentials: &[Credential]) {
        let name = "keyswap_registry_credential_last_seen_timestamp_seconds";
        self.name(name, "gauge", "Time of a credential's last use, to a minute.");
        for credential in credentials {
            let Some(seen) = credential.last_seen else { continue };
            let id = credential.id();
            let labels = [("name", credential.name.as_str()), ("role", credential.role.name()), ("id", &id)];
            self.sample(name, &labels, &seen.0.to_string());
        }
    }

    /// Writes the state of TLS, without samples where the server has none.
    fn tls(&mut self, tls: Option<&TlsState>) {
        let validity = tls.and_then(TlsState::validity);
        for (name, help, value) in [
            (
                "keyswap_registry_certificate_not_before_timestamp_seconds",
                "Time from which the server's certificate is valid.",
                validity.map(|validity| validity.not_before.0),
            ),
            (
                "keyswap_registry_certificate_not_after_timestamp_seconds",
                "Time at which the server's certificate expires.",
                validity.map(|validity| validity.not_after.0),
            ),
            (
                "keyswap_registry_tls_files_unusable",
                "1 while the files of TLS cannot be used, and earlier ones stay in use.",
                tls.map(|tls| i64::from(tls.files_are_unusable())),
            ),
        ] {
            self.name(name, "gauge", help);
            if let Some(value) = value {
                self.sample(name, &[], &value.to_string());
            }
        }
    }

    /// Writes the state of the Secrets that declare tokens, as this process knows it.
    fn secrets(&mut self, namespaces: &[(String, NamespaceStatus)]) {
        let gauges: [Metric<NamespaceStatus>; 5] = [
            ("keyswap_registry_secrets_applied_here", "1 in the process that applies the Secrets.", |it| {
                i64::from(it.applies).to_string()
            }),
            ("keyswap_registry_secrets", "Secrets that declare a token.", |it| it.accepted.to_string()),
            ("keyswap_registry_secrets_refused", "Secrets with faults.", |it| it.refused.len().to_string()),
            (
                "keyswap_registry_secrets_unreachable",
                "1 while the Secrets cannot be read or applied.",
                |it| i64::from(it.is_failing).to_string(),
            ),
            (
                "keyswap_registry_secrets_applied_timestamp_seconds",
                "Time at which Secrets were last applied.",
                |it| it.applied_at.map_or(0, |at| at.0).to_string(),
            ),
        ];
        for (name, help, value) in gauges {
            self.name(name, "gauge", help);
            for (namespace, status) in namespaces {
                self.sample(name, &[("namespace", namespace)], &value(status));
            }
        }
        let name = "keyswap_registry_secret_fault";
        self.name(name, "gauge", "1 for each Secret with faults, the first ones of a namespace.");
        for (namespace, status) in namespaces {
            for secret in status.refused.iter().take(MAX_FAULTY_SECRETS) {
                self.sample(name, &[("namespace", namespace), ("secret", secret)], "1");
            }
        }
    }

    /// Writes the counts of events of this process.
    fn events(&mut self, counters: &Counters) {
        for (name, help, counter) in [
            (
                "keyswap_registry_lease_refusals_total",
                "Requests for a part of a budget that had less left.",
                &counters.refused_leases,
            ),
            (
                "keyswap_registry_database_errors_total",
                "Answers that an error of the database prevented.",
                &counters.database_errors,
            ),
            (
                "keyswap_registry_shared_credential_requests_total",
                "Requests with the credential that all data planes share.",
                &counters.shared_credential_uses,
            ),
        ] {
            self.name(name, "counter", help);
            self.sample(name, &[], &counter.value().to_string());
        }
    }

    fn budgets(&mut self, states: &[BudgetState]) {
        let gauges: [Metric<BudgetState>; 4] = [
            ("keyswap_registry_budget_limit", "Amount of a budget, in dollars or tokens.", |state| {
                number(state.unit, state.limit)
            }),
            ("keyswap_registry_budget_remaining", "Part of a budget that is not spent.", |state| {
                number(state.unit, state.left())
            }),
            (
                "keyswap_registry_budget_leased",
                "Part of a budget that data planes hold and have not spent.",
                |state| number(state.unit, state.leased),
            ),
            ("keyswap_registry_budget_resets_timestamp_seconds", "Time of a budget's next reset.", |state| {
                state.resets_at.0.to_string()
            }),
        ];
        for (name, help, value) in gauges {
            self.name(name, "gauge", help);
            for state in states {
                let subject = subject(&state.subject);
                // A subject has several budgets where data planes bring different ones: they differ by the period.
                let labels = [
                    ("subject", subject.as_str()),
                    ("unit", state.unit.name()),
                    ("per", state.budget.per().name()),
                ];
                self.sample(name, &labels, &value(state));
            }
        }
    }
}

fn labels(total: &UsageTotal) -> [(&'static str, &str); 3] {
    [("team", &total.team), ("provider", &total.provider), ("model", &total.model)]
}

fn gen_ai_labels(total: &UsageTotal) -> [(&'static str, &str); 3] {
    [
        ("gen_ai_provider_name", provider_name(&total.provider)),
        ("gen_ai_request_model", &total.model),
        ("team", &total.team),
    ]
}

/// Returns a number of dollars or tokens.
fn number(unit: Unit, number: i64) -> String {
    match unit {
        Unit::Usd => amount::dollars(number),
        Unit::Tokens => number.to_string(),
    }
}

/// Returns the subject as a label: of a digest the first 16 digits, as in logs.
fn subject(subject: &Payer) -> String {
    match subject {
        Payer::Token(digest) => format!("token:{}", digest.to_hex().chars().take(16).collect::<String>()),
        Payer::Owner(_) | Payer::Team(_) => subject.to_string(),
    }
}
