//! The form fields for the providers and models of a token or a user.

use maud::{Markup, html};

use super::fields::Fields;

const BUILT_IN: [(&str, &str); 3] = [("openai", "OpenAI"), ("anthropic", "Anthropic"), ("gemini", "Gemini")];

/// Returns the boxes and fields, filled with the present values.
pub(super) fn inputs(providers: &[String], models: &[String]) -> Markup {
    let others: Vec<&str> = providers
        .iter()
        .map(String::as_str)
        .filter(|name| !BUILT_IN.iter().any(|(id, _)| id == name))
        .collect();
    html! {
        fieldset {
            legend { "Providers" }
            div .boxes {
                @for (id, name) in BUILT_IN {
                    label .box {
                        input type="checkbox" name="provider" value=(id) checked[providers.iter().any(|name| name == id)];
                        (name)
                    }
                }
            }
        }
        label { "Other providers" span .hint { "names from your policy; classes of endpoints, such as openai:files" }
            input name="other_providers" autocomplete="off" value=(others.join(", ")); }
        label { "Models" span .hint { "empty: all" }
            input name="models" autocomplete="off" value=(if models == ["*"] { String::new() } else { models.join(", ") }); }
    }
}

/// Returns the providers of a submitted form.
pub(super) fn providers(fields: &Fields) -> Vec<String> {
    let mut all: Vec<String> = fields.all("provider").map(str::to_owned).collect();
    all.extend(fields.list("other_providers"));
    all
}
