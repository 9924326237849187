//! FOCUS 1.2, the `FinOps` Open Cost and Usage Specification: a row for each day, caller, provider and model.
//!
//! The columns are the mandatory ones, those for consumption, sub-accounts, resources and tags, and own ones, which begin
//! with `x_`. Costs are list prices as the policy has them, not those of an invoice: discounts are not known here. All
//! times are in UTC, and ends are exclusive. An empty cell is null.

use keyswap_core::base::UnixTime;
use serde_json::json;

use super::csv::Csv;
use crate::registry::{Per, UsageDetail, Window, Zone, amount};

const COLUMNS: [&str; 38] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_CachedTokens",
    "x_InputTokens",
    "x_Model",
    "x_OutputTokens",
    "x_Requests",
    "x_UnmeteredRequests",
    "x_UnpricedRequests",
];

const ACCOUNT: &str = "keyswap";

/// Returns the rows as CSV.
pub(crate) fn focus(rows: &[UsageDetail]) -> String {
    let mut csv = Csv::of(&COLUMNS);
    for row in rows {
        csv.row(&cells(row));
    }
    csv.into_text()
}

/// Returns the cells in the order of [`COLUMNS`].
fn cells(row: &UsageDetail) -> [String; 38] {
    let begin = UnixTime(row.day.0.saturating_mul(86_400));
    let end = UnixTime(begin.0.saturating_add(86_400));
    let month = Window::of(begin, Per::Month, &Zone::default());
    let cost = amount::dollars(row.counts.cost);
    let tokens = row.counts.tokens().to_string();
    let text = |text: &str| text.to_owned();
    let mut tags = serde_json::Map::new();
    for (name, value) in
        [("caller", &row.kind), ("owner", &row.owner), ("team", &row.team), ("model", &row.model)]
    {
        if !value.is_empty() {
            tags.insert(text(name), json!(value));
        }
    }
    let description = format!(
        "{}: {} input and {} output tokens of {} requests",
        row.model, row.counts.input, row.counts.output, row.counts.requests
    );
    [
        cost.clone(),
        text(ACCOUNT),
        text(ACCOUNT),
        text("USD"),
        month.ends_at.to_string(),
        month.starts_at.to_string(),
        text("Usage"),
        String::new(),
        description,
        text("Usage-Based"),
        end.to_string(),
        begin.to_string(),
        tokens.clone(),
        text("Tokens"),
        cost.clone(),
        cost.clone(),
        row.provider.clone(),
        cost,
        tokens,
        text("Tokens"),
        row.provider.clone(),
        row.provider.clone(),
        row.principal.chars().take(16).collect(),
        row.label.clone(),
        row.kind.clone(),
        text("AI and Machine Learning"),
        row.provider.clone(),
        text("Generative AI"),
        row.team.clone(),
        row.team.clone(),
        serde_json::Value::Object(tags).to_string(),
        row.counts.cached.to_string(),
        row.counts.input.to_string(),
        row.model.clone(),
        row.counts.output.to_string(),
        row.counts.requests.to_string(),
        row.counts.unmetered.to_string(),
        row.counts.unpriced.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Counts, Day};

    const MANDATORY: [&str; 21] = [
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    ];

    #[test]
    fn a_row_has_the_columns_that_the_specification_requires() {
        let counts = Counts {
            requests: 3,
            input: 900,
            cached: 100,
            output: 100,
            cost: 1_250_000_001,
            ..Counts::default()
        };
        let row = UsageDetail {
            day: Day::parse("2028-02-29").unwrap(),
            principal: "ab".repeat(32),
            kind: "token".to_owned(),
            label: "alice, laptop".to_owned(),
            owner: "alice@acme.example".to_owned(),
            team: String::new(),
            provider: "openai".to_owned(),
            model: "gpt-5".to_owned(),
            counts,
        };
        let cell =
            |name: &str| cells(&row)[COLUMNS.iter().position(|column| *column == name).unwrap()].clone();
        for (name, expect) in [
            ("BilledCost", "1.250000001"),
            ("EffectiveCost", "1.250000001"),
            ("BillingCurrency", "USD"),
            ("BillingPeriodStart", "2028-02-01T00:00:00Z"),
            ("BillingPeriodEnd", "2028-03-01T00:00:00Z"),
            ("ChargePeriodStart", "2028-02-29T00:00:00Z"),
            ("ChargePeriodEnd", "2028-03-01T00:00:00Z"),
            ("ChargeCategory", "Usage"),
            ("ConsumedQuantity", "1000"),
            ("ConsumedUnit", "Tokens"),
            ("ServiceName", "openai"),
            ("SubAccountId", ""),
            ("ResourceId", "abababababababab"),
            ("Tags", r#"{"caller":"token","model":"gpt-5","owner":"alice@acme.example"}"#),
        ] {
            assert_eq!(cell(name), expect, "{name}");
        }
        assert!(MANDATORY.iter().all(|name| COLUMNS.contains(name)) && COLUMNS.is_sorted());
        assert!(focus(&[row]).lines().nth(1).unwrap().contains(r#""alice, laptop""#));
    }
}
