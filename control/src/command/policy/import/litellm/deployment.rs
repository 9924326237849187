//! One entry of a LiteLLM proxy's `model_list`: the names of the model, the destination of its requests, and the key.

use serde_json::Value;

use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::hosts::{Host, Key};
use crate::command::policy::import::list::{list, texts};

/// A provider: its name in LiteLLM, its name in a policy, and the variable in which LiteLLM looks for its key by default.
const PROVIDERS: [(&str, &str, &str); 22] = [
    ("openai", "openai", "OPENAI_API_KEY"),
    ("text-completion-openai", "openai", "OPENAI_API_KEY"),
    ("anthropic", "anthropic", "ANTHROPIC_API_KEY"),
    ("gemini", "gemini", "GEMINI_API_KEY"),
    ("azure", "azure-openai", "AZURE_API_KEY"),
    ("groq", "groq", "GROQ_API_KEY"),
    ("openrouter", "openrouter", "OPENROUTER_API_KEY"),
    ("xai", "grok", "XAI_API_KEY"),
    ("mistral", "mistral", "MISTRAL_API_KEY"),
    ("deepseek", "deepseek", "DEEPSEEK_API_KEY"),
    ("perplexity", "perplexity-ai", "PERPLEXITYAI_API_KEY"),
    ("cerebras", "cerebras", "CEREBRAS_API_KEY"),
    ("cohere", "cohere", "COHERE_API_KEY"),
    ("cohere_chat", "cohere", "COHERE_API_KEY"),
    ("fireworks_ai", "fireworks", "FIREWORKS_AI_API_KEY"),
    ("huggingface", "huggingface", "HUGGINGFACE_API_KEY"),
    ("replicate", "replicate", "REPLICATE_API_KEY"),
    ("baseten", "baseten", "BASETEN_API_KEY"),
    ("elevenlabs", "elevenlabs", "ELEVENLABS_API_KEY"),
    ("deepgram", "deepgram", "DEEPGRAM_API_KEY"),
    ("vercel_ai_gateway", "vercel", "VERCEL_AI_GATEWAY_API_KEY"),
    ("workers_ai", "workers-ai", "CLOUDFLARE_API_KEY"),
];

/// Providers that LiteLLM has a pass-through route for, such as `/openai`, with the key of the usual variable.
const PASSED_THROUGH: [&str; 6] = ["anthropic", "cohere", "gemini", "mistral", "openai", "openrouter"];

/// Servers that speak OpenAI's API at an address of the team's own.
const SELF_HOSTED: [&str; 5] = ["openai_like", "hosted_vllm", "ollama", "ollama_chat", "litellm_proxy"];

/// Beginnings of the names of OpenAI's models, which need no prefix in LiteLLM.
const OPENAI_MODELS: [&str; 16] = [
    "gpt-",
    "chatgpt-",
    "o1",
    "o3",
    "o4",
    "text-embedding-",
    "text-moderation-",
    "omni-moderation-",
    "dall-e-",
    "whisper-",
    "tts-",
    "davinci-",
    "babbage-",
    "ft:gpt-",
    "codex-",
    "computer-use-",
];

/// A deployment of a model.
pub(super) struct Deployment {
    /// The names by which callers and keys refer to the model.
    pub(super) names: Vec<String>,
    /// The access groups that the model is in.
    pub(super) groups: Vec<String>,
    /// The team that alone may use the model.
    pub(super) team: Option<String>,
    /// The name of the model at the provider, or a pattern.
    pub(super) model: String,
    pub(super) host: Host,
    pub(super) key: Key,
    /// Set where LiteLLM passes requests with any model through to the provider, with the same key.
    pub(super) is_passed: bool,
}

/// The part of a deployment that its settings tell.
struct Destination {
    host: Host,
    key: Key,
    model: String,
    is_passed: bool,
}

/// An entry that is left out. The line about it is written.
struct LeftOut;

/// The settings of a deployment: its own, those of the credential that it refers to, and the environment.
struct Settings<'c> {
    place: String,
    params: &'c Value,
    credential: Option<&'c Value>,
    environment: &'c Value,
}

/// The members of `litellm_params` and of `model_info` that the import reads.
const PARAMS: [&str; 6] =
    ["model", "custom_llm_provider", "api_key", "api_base", "base_url", "litellm_credential_name"];
const INFO: [&str; 3] = ["access_groups", "team_id", "team_public_model_name"];

/// Reads an entry of the list; `None` where it is left out.
pub(super) fn read(entry: &Value, config: &Value, place: &str, draft: &mut Draft) -> Option<Deployment> {
    let Some(name) = entry.get("model_name").and_then(Value::as_str) else {
        draft.note(place, "no `model_name`: left out");
        return None;
    };
    let settings = Settings::of(entry, config, place);
    let Destination { host, key, model, is_passed } = settings.read(draft).ok()?;
    draft.note_rest(&settings.place, settings.params, &PARAMS);
    let info = entry.get("model_info").unwrap_or(&Value::Null);
    draft.note_rest(&format!("{place}.model_info"), info, &INFO);
    let member = |name: &str| info.get(name).filter(|value| !is_empty(value));
    let groups = member("access_groups").map_or(Some(Vec::new()), texts).unwrap_or_else(|| {
        draft.note(&format!("{place}.model_info.access_groups"), "not imported: no list of names");
        Vec::new()
    });
    let public = member("team_public_model_name").and_then(Value::as_str);
    Some(Deployment {
        names: [name].into_iter().chain(public).map(str::to_owned).collect(),
        groups: groups.into_iter().map(str::to_owned).collect(),
        // A team that is no text is no team's name, so no key has the model.
        team: member("team_id").map(|team| team.as_str().unwrap_or_default().to_owned()),
        model,
        host,
        key,
        is_passed,
    })
}

impl<'c> Settings<'c> {
    fn of(entry: &'c Value, config: &'c Value, place: &str) -> Self {
        let params = entry.get("litellm_params").unwrap_or(&Value::Null);
        let named = |it: &&Value| it.get("credential_name") == params.get("litellm_credential_name");
        Self {
            place: format!("{place}.litellm_params"),
            params,
            credential: list(config, "credential_list")
                .find(named)
                .and_then(|it| it.get("credential_values")),
            environment: config.get("environment_variables").unwrap_or(&Value::Null),
        }
    }

    /// Returns the destination, the key and the model.
    fn read(&self, draft: &mut Draft) -> Result<Destination, LeftOut> {
        let is_named = self.params.get("litellm_credential_name").is_some_and(|name| !is_empty(name));
        if is_named && self.credential.is_none() {
            return Err(self.leave_out("litellm_credential_name", "no entry of `credential_list`", draft));
        }
        let kind = self.kind(draft)?;
        let (id, usual) = self.provider(kind, draft)?;
        let key = match self.text("api_key", draft)?.map(|key| key.strip_prefix("os.environ/")) {
            None => Key::Usual(usual),
            Some(Some(variable)) if is_variable(variable) => Key::Variable(variable.to_owned()),
            Some(_) => Key::Literal(usual),
        };
        let model = self.text("model", draft)?.unwrap_or_default();
        let own = model.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
        let host = self.host(kind, id, draft)?;
        let is_usual = match &key {
            Key::Usual(_) => true,
            Key::Variable(variable) => variable == usual,
            Key::Literal(_) => false,
        };
        let is_passed = is_usual && host.is_own() && PASSED_THROUGH.contains(&id);
        Ok(Destination { host, key, model: own.to_owned(), is_passed })
    }

    fn leave_out(&self, member: &str, reason: &str, draft: &mut Draft) -> LeftOut {
        draft.note(&format!("{}.{member}", self.place), format!("{reason}: left out"));
        LeftOut
    }

    /// Returns a setting, the deployment's own before that of its credential.
    fn text(&self, name: &str, draft: &mut Draft) -> Result<Option<&'c str>, LeftOut> {
        let values = [Some(self.params), self.credential];
        let value = values.into_iter().flatten().filter_map(|it| it.get(name)).find(|it| !is_empty(it));
        value.map(|it| it.as_str().ok_or_else(|| self.leave_out(name, "not text", draft))).transpose()
    }

    /// Returns LiteLLM's name of the provider.
    fn kind(&self, draft: &mut Draft) -> Result<&'c str, LeftOut> {
        let Some(model) = self.text("model", draft)? else {
            return Err(self.leave_out("model", "missing", draft));
        };
        let kind = self.text("custom_llm_provider", draft)?;
        kind.or_else(|| Some(model.split_once('/')?.0)).or_else(|| kind_of(model)).ok_or_else(|| {
            let reason = format!("`{model}` does not say which provider it is for");
            self.leave_out("model", &reason, draft)
        })
    }

    /// Returns the provider's name in a policy, and the usual variable of its key.
    fn provider(&self, kind: &str, draft: &mut Draft) -> Result<(&'static str, &'static str), LeftOut> {
        if SELF_HOSTED.contains(&kind) {
            return Ok(("openai", "OPENAI_API_KEY"));
        }
        match PROVIDERS.iter().find(|(name, ..)| *name == kind) {
            None => Err(self.leave_out("model", &format!("the provider `{kind}` is not supported"), draft)),
            Some((_, id @ ("vercel" | "workers-ai"), _)) => {
                let reason = format!("`{id}` is reached through its gateway, so add `gateway` by hand");
                Err(self.leave_out("model", &reason, draft))
            }
            Some((_, id, usual)) => Ok((id, usual)),
        }
    }

    /// Returns the destination: the address of the deployment, of its credential or of the environment, or the provider's
    /// own.
    fn host(&self, kind: &str, id: &'static str, draft: &mut Draft) -> Result<Host, LeftOut> {
        let (base, other) = (self.text("api_base", draft)?, self.text("base_url", draft)?);
        if base.is_some() && other.is_some() && base != other {
            return Err(self.leave_out("api_base", "another address than `base_url`", draft));
        }
        let address = match base.or(other).map(|address| (address, address.strip_prefix("os.environ/"))) {
            None => self.usual_address(kind),
            Some((address, None)) => Some(address),
            Some((_, Some(variable))) => Some(self.variable(variable).ok_or_else(|| {
                let reason =
                    format!("an address from the environment (`{variable}`), so add its `url` by hand");
                self.leave_out("api_base", &reason, draft)
            })?),
        };
        match address {
            Some(address) => Host::at(id, address).map_err(|error| self.leave_out("api_base", error, draft)),
            None if id == "azure-openai" || SELF_HOSTED.contains(&kind) => {
                Err(self.leave_out("api_base", "missing, and the provider has no address of its own", draft))
            }
            None => Ok(Host::own(id)),
        }
    }

    /// Returns the address that `environment_variables` gives all deployments of the provider that name none.
    fn usual_address(&self, kind: &str) -> Option<&'c str> {
        let kind = kind.to_ascii_uppercase();
        [format!("{kind}_BASE_URL"), format!("{kind}_API_BASE")].iter().find_map(|name| self.variable(name))
    }

    fn variable(&self, name: &str) -> Option<&'c str> {
        self.environment.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

/// Returns the provider that LiteLLM knows a model of without a prefix, as far as a policy has it.
pub(super) fn kind_of(model: &str) -> Option<&'static str> {
    let is_openai = || OPENAI_MODELS.iter().any(|beginning| model.starts_with(beginning));
    if model.starts_with("claude-") { Some("anthropic") } else { is_openai().then_some("openai") }
}

/// Returns whether a policy can name the variable.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
