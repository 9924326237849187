//! The targets of Kong's AI plugins: the provider, the address, the key and the model of each.

use serde_json::Value;

use super::plugins::Plugin;
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::hosts::{Host, Key, is_label};
use crate::command::policy::import::list::{list, place};
use crate::command::policy::import::vendors::{self, Vendor};

/// The ends of an address that Kong has as that of an operation.
const OPERATIONS: [&str; 5] = ["/chat/completions", "/completions", "/embeddings", "/responses", "/messages"];

/// The options of a model that are read, and those that Keyswap has no need of.
const OPTIONS: [&str; 7] = [
    "upstream_url",
    "azure_instance",
    "azure_deployment_id",
    "azure_api_version",
    "anthropic_version",
    "llama2_format",
    "mistral_format",
];

/// The members of `auth` for keys.
const AUTH: [&str; 6] =
    ["header_name", "header_value", "param_name", "param_value", "param_location", "allow_override"];

/// The destination of a target, with its key. The model is `None` where callers choose it.
pub(super) struct Destination {
    pub(super) host: Host,
    pub(super) key: Key,
    pub(super) model: Option<String>,
    pub(super) place: String,
}

/// A target that is left out, with the member and the reason.
type LeftOut = (&'static str, String);

/// Adds the destinations of a plugin's targets.
pub(super) fn read(plugin: &Plugin<'_>, destinations: &mut Vec<Destination>, draft: &mut Draft) {
    let path = place(&plugin.place, "config");
    if plugin.name == "ai-proxy" {
        destinations.extend(destination(plugin.config, &path, draft));
        return;
    }
    draft.note_rest(&path, plugin.config, &["targets"]);
    for (index, target) in list(plugin.config, "targets").enumerate() {
        let path = place(&path, &format!("targets[{index}]"));
        destinations.extend(destination(target, &path, draft));
    }
}

fn destination(target: &Value, path: &str, draft: &mut Draft) -> Option<Destination> {
    let model = target.get("model").unwrap_or(&Value::Null);
    let options = model.get("options").unwrap_or(&Value::Null);
    let auth = target.get("auth").unwrap_or(&Value::Null);
    draft.note_rest(path, target, &["route_type", "auth", "model"]);
    draft.note_rest(&place(path, "model"), model, &["provider", "name", "options"]);
    draft.note_rest(&place(path, "model.options"), options, &OPTIONS);
    let found = vendor(model, options)
        .and_then(|vendor| Ok((vendor, host(vendor, options)?, key(vendor, auth, path, draft)?)));
    let (vendor, host, key) = match found {
        Ok(found) => found,
        Err((member, reason)) => {
            draft.note(&place(path, member), format!("{reason}: left out"));
            return None;
        }
    };
    let text = |holder: &Value, name: &str| holder.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = match vendor.id {
        // Callers name the deployment, which stands in the path.
        "azure-openai" => text(options, "azure_deployment_id"),
        _ => text(model, "name"),
    };
    Some(Destination { host, key, model: name.filter(|name| !name.is_empty()), place: path.to_owned() })
}

/// Returns the provider whose API a target speaks.
fn vendor(model: &Value, options: &Value) -> Result<&'static Vendor, LeftOut> {
    let text = |holder: &Value, name: &str| holder.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(provider) = text(model, "provider") else {
        return Err(("model.provider", "missing".to_owned()));
    };
    let format = match provider.as_str() {
        "llama2" => text(options, "llama2_format").unwrap_or_default(),
        "mistral" => text(options, "mistral_format").unwrap_or_else(|| "openai".to_owned()),
        _ => "openai".to_owned(),
    };
    if format != "openai" {
        return Err(("model.options", format!("a server that speaks `{format}`, and no provider's API")));
    }
    if options.get("gemini").is_some_and(|gemini| !is_empty(gemini)) {
        return Err((
            "model.options.gemini",
            "Vertex AI takes no keys: add `google-vertex-ai` by hand".to_owned(),
        ));
    }
    let name = if provider == "llama2" { "openai" } else { provider.as_str() };
    vendors::of_kong(name)
        .ok_or_else(|| ("model.provider", format!("the provider `{provider}` is not supported")))
}

/// Returns the address of a target. Kong has that of an operation, and a policy the beginning that all have in common.
fn host(vendor: &'static Vendor, options: &Value) -> Result<Host, LeftOut> {
    const URL: &str = "model.options.upstream_url";
    let instance = options.get("azure_instance").and_then(Value::as_str);
    let address = match options.get("upstream_url").filter(|url| !is_empty(url)) {
        Some(url) => {
            let url = url.as_str().ok_or_else(|| (URL, "not text".to_owned()))?;
            let base = OPERATIONS.iter().find_map(|end| url.strip_suffix(end));
            match (vendor.id, base) {
                ("azure-openai", _) => url.to_owned(),
                (_, Some(base)) => base.to_owned(),
                (_, None) => return Err((URL, "no address of an operation that Keyswap knows".to_owned())),
            }
        }
        None if vendor.id == "azure-openai" => match instance {
            Some(instance) if is_label(instance) => format!("https://{instance}.openai.azure.com"),
            _ => return Err(("model.options.azure_instance", "not the name of a resource".to_owned())),
        },
        None => return Ok(Host::own(vendor.id)),
    };
    Host::at(vendor.id, &address).map_err(|error| (URL, error.to_owned()))
}

/// Returns the key of a target. A key that the provider gets at another place than Keyswap writes it to is no key here.
fn key(vendor: &'static Vendor, auth: &Value, path: &str, draft: &mut Draft) -> Result<Key, LeftOut> {
    let text = |name: &str| auth.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let members = auth.as_object().into_iter().flatten();
    let others: Vec<&String> = members
        .filter(|(name, value)| !AUTH.contains(&name.as_str()) && !is_empty(value))
        .map(|(name, _)| name)
        .collect();
    if let Some(other) = others.first() {
        return Err(("auth", format!("`{other}` is no key: add the provider with its credential by hand")));
    }
    if auth.get("allow_override") == Some(&Value::Bool(true)) {
        draft.note(
            &place(path, "auth.allow_override"),
            "not imported: callers cannot bring keys of their own",
        );
    }
    let header = match vendor.id {
        "anthropic" => "x-api-key",
        "gemini" => "x-goog-api-key",
        "azure-openai" => "api-key",
        _ => "authorization",
    };
    let value = match (text("header_name"), text("param_name")) {
        (Some(name), _) if name.eq_ignore_ascii_case(header) => text("header_value"),
        (None, Some("key")) if vendor.id == "gemini" && text("param_location") == Some("query") => {
            text("param_value")
        }
        (None, None) => None,
        _ => {
            let reason = format!("the key is not in the header `{header}`: add the provider by hand");
            return Err(("auth", reason));
        }
    };
    let Some(value) = value else {
        draft.note(path, "no key here: set the provider's own in the variable of its credential");
        return Ok(Key::Usual(vendor.variable));
    };
    let scheme =
        value.split_at_checked("Bearer ".len()).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer "));
    let bare = if header == "authorization" { scheme.map(|(_, key)| key.trim()) } else { Some(value.trim()) };
    if let Some(variable) = bare.and_then(deck_variable) {
        return Ok(Key::Variable(variable.to_owned()));
    }
    let kind = if value.contains("{vault://") {
        "a reference to a vault of Kong's"
    } else if value.contains("${{") {
        "a variable that has the whole header"
    } else {
        "a literal key"
    };
    draft.note(
        &place(path, "auth"),
        format!("not imported: {kind}; set the key in the variable of its credential"),
    );
    Ok(Key::Usual(vendor.variable))
}

/// Returns the variable in `${{ env "DECK_…" }}`. decK reads no others.
fn deck_variable(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${{")?.strip_suffix("}}")?.trim();
    let name = inner.strip_prefix("env")?.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (name.starts_with("DECK_") && is_name).then_some(name)
}
