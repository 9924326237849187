//! The output of a plan: a difference for people, or JSON.

use serde_json::{Value, json};

use super::plan::{Field, Plan, Update};
use crate::command::terminal::output::visible;
use crate::registry::Token;

/// Returns the plan as a difference, a line for each token and each field.
pub(super) fn text(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for entry in &plan.create {
        lines.push(format!("+ {}", visible(&entry.record.label)));
        let record = serde_json::to_value(&entry.record).unwrap_or_default();
        for (name, value) in record.as_object().into_iter().flatten().filter(|(name, _)| *name != "label") {
            if !value.is_null() {
                lines.push(format!("    {name}: {}", words(value)));
            }
        }
    }
    for Update { token, fields, .. } in &plan.update {
        lines.push(format!("~ {}  {}", visible(&token.label), token.id()));
        for Field { name, from, to } in fields {
            lines.push(format!("    {name}: {} -> {}", words(from), words(to)));
        }
    }
    for token in &plan.disable {
        lines.push(format!("- {}  {}", visible(&token.label), token.id()));
    }
    lines.push(format!(
        "{} to create, {} to change, {} to disable, {} unchanged",
        plan.create.len(),
        plan.update.len(),
        plan.disable.len(),
        plan.unchanged
    ));
    lines.join("\n")
}

/// Returns the plan as JSON. `applied` is false for a dry run.
pub(super) fn json(plan: &Plan, applied: bool) -> Value {
    let field = |field: &Field| (field.name.clone(), json!({"from": field.from, "to": field.to}));
    let update = |Update { token, fields, .. }: &Update| {
        let fields: serde_json::Map<String, Value> = fields.iter().map(field).collect();
        json!({"label": token.label, "sha256": token.digest.to_hex(), "fields": fields})
    };
    let token = |token: &Token| json!({"label": token.label, "sha256": token.digest.to_hex()});
    json!({
        "create": plan.create.iter().map(|entry| &entry.record).collect::<Vec<_>>(),
        "update": plan.update.iter().map(update).collect::<Vec<_>>(),
        "disable": plan.disable.iter().map(token).collect::<Vec<_>>(),
        "unchanged": plan.unchanged,
        "still_disabled": plan.still_disabled,
        "applied": applied,
    })
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => visible(text),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => visible(&other.to_string()),
    }
}
