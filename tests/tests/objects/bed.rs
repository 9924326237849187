//! The bed: callers, data planes, and the requests that callers send.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Envoy, KEYSWAP, Kind, Registry, Request, Response, Setup, Shelf, Testbed, Told,
    clients::matrix::Provider, tools,
};
use serde_json::{Value, json};

/// An id that no shelf makes.
pub(crate) const NEVER: &str = "999999";

/// A caller, by its token.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// A shelf behind two data planes that ask one registry.
pub(crate) struct Bed {
    pub(crate) shelf: Shelf,
    pub(crate) registry: Registry,
    pub(crate) planes: [Envoy; 2],
    pub(crate) alice: Caller,
    pub(crate) bob: Caller,
}

/// Returns the set-up of a data plane in front of an upstream in plain HTTP.
pub(crate) fn plane(shelf: SocketAddr, registry: SocketAddr) -> Setup {
    let mut policy = Testbed::policy();
    policy["tokens"] = json!([]);
    policy["registry"] = Testbed::registry();
    // However slow the machine is, a call is not given up.
    policy["registry"]["timeout"] = json!("30s");
    Envoy::with(&policy)
        .env("OPENAI_API_KEY", "sk-real-openai")
        .env("ANTHROPIC_API_KEY", "sk-real-anthropic")
        .env("GEMINI_API_KEY", "real-gemini-key")
        .env("KEYSWAP_REGISTRY_TOKEN", Registry::TOKEN)
        .plain_upstream(shelf)
        .registry(registry)
}

impl Bed {
    pub(crate) fn start() -> Result<Self> {
        let (shelf, registry) = (Shelf::start()?, Registry::start()?);
        let caller = |label: &str| {
            let scope = json!({"label": label, "providers": ["openai:*", "anthropic:*", "gemini:*"]});
            let made = registry.create_token(&scope)?;
            anyhow::Ok(Caller(made["token"].as_str().context("no token")?.to_owned()))
        };
        let (alice, bob) = (caller("alice")?, caller("bob")?);
        let plane = || plane(shelf.address(), registry.address()).start();
        let planes = [plane()?, plane()?];
        Ok(Self { shelf, registry, planes, alice, bob })
    }

    /// Sends a request that must get this verdict.
    pub(crate) fn expect(&self, plane: usize, request: &Request, verdict: &str) -> Result<Response> {
        let envoy = self.planes.get(plane).context("no such plane")?;
        let response = envoy.send(request)?;
        let found = response.verdict();
        ensure!(found == verdict, "{found} instead of {verdict}: {request:?}: {}", response.text());
        Ok(response)
    }

    /// Makes an object for a caller. Returns its id.
    pub(crate) fn make(&self, plane: usize, kind: &Kind, caller: &Caller) -> Result<String> {
        let response = self.expect(plane, &caller.post(kind, kind.made_at, kind.body), "200")?;
        id_in(kind, &response.json()?)
    }

    /// Makes an object for a caller by a request whose answer is a stream.
    pub(crate) fn stream(&self, plane: usize, kind: &Kind, caller: &Caller) -> Result<String> {
        let mut body: Value = serde_json::from_str(kind.body)?;
        body["stream"] = json!(true);
        let response = self.expect(plane, &caller.post(kind, kind.made_at, &body.to_string()), "200")?;
        let text = response.text();
        ensure!(text.ends_with("data: [DONE]\n\n"), "the stream has no end: {text}");
        let first = text.lines().find_map(|line| line.strip_prefix("data: ")).context("no event")?;
        let event: Value = serde_json::from_str(first)?;
        let object = event.get("response").unwrap_or(&event);
        id_in(kind, object)
    }

    /// Runs `keyswap object`.
    pub(crate) fn object(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(KEYSWAP.path()?);
        command.arg("object").args(arguments).env("KEYSWAP_DATABASE", self.registry.database());
        tools::run(&mut command, "it was built").map(drop)
    }

    /// Returns the ids that a list shows a caller.
    pub(crate) fn list(
        &self,
        plane: usize,
        kind: &Kind,
        caller: &Caller,
        query: &str,
    ) -> Result<Vec<String>> {
        let request = caller.get(kind, &format!("{}{query}", kind.collection));
        let list = self.expect(plane, &request, "200")?.json()?;
        let elements = list[kind.list].as_array().with_context(|| format!("no list: {list}"))?;
        elements.iter().map(|element| id_in(kind, element)).collect()
    }
}

impl Caller {
    /// Returns a request of the caller at a path of the provider.
    pub(crate) fn send(&self, kind: &Kind, method: &str, path: &str) -> Request {
        match kind.provider {
            Provider::Anthropic => {
                Request::new(method, format!("/anthropic{path}")).header("x-api-key", &self.0)
            }
            Provider::Gemini => Request::new(method, path).header("x-goog-api-key", &self.0),
            Provider::OpenAi | Provider::GeminiOpenAi => Request::new(method, path).bearer(&self.0),
        }
    }

    pub(crate) fn get(&self, kind: &Kind, path: &str) -> Request {
        self.send(kind, "GET", path)
    }

    pub(crate) fn post(&self, kind: &Kind, path: &str, body: &str) -> Request {
        self.send(kind, "POST", path).header("content-type", "application/json").body(body)
    }

    /// Returns all requests of the caller that name an object, but for its deletion.
    pub(crate) fn requests(&self, kind: &Kind, id: &str) -> Vec<Request> {
        let path = format!("{}/{id}", kind.collection);
        let verb = |(method, behind): &(&str, &str)| match *method {
            "GET" => self.get(kind, &format!("{path}{behind}")),
            _ => self.post(kind, &format!("{path}{behind}"), "{}"),
        };
        let named = |(path, body): &(&str, &str)| self.post(kind, path, &body.replace("{}", id));
        let mut requests = vec![self.get(kind, &path)];
        requests.extend(kind.verbs.iter().map(verb));
        requests.extend(kind.uses.iter().map(named));
        requests
    }
}

/// Returns the kind of a provider with this name.
pub(crate) fn kind(provider: Provider, name: &str) -> Result<&'static Kind> {
    let found = keyswap_tests::KINDS.iter().find(|kind| kind.provider == provider && kind.name == name);
    found.with_context(|| format!("no kind `{name}`"))
}

/// Returns the id that an object or an answer tells.
pub(crate) fn id_in(kind: &Kind, object: &Value) -> Result<String> {
    let name = match kind.told {
        Told::Id | Told::Chunks => &object["id"],
        Told::File if object.get("file").is_some() => &object["file"]["name"],
        Told::Operation if object.get("metadata").is_some() => &object["metadata"]["tunedModel"],
        Told::Name | Told::File | Told::Operation => &object["name"],
    };
    let name = name.as_str().with_context(|| format!("no id of {}: {object}", kind.name))?;
    Ok(name.rsplit('/').next().unwrap_or_default().to_owned())
}

/// Ensures that two answers cannot be told apart, but for their dates.
pub(crate) fn ensure_same(one: &Response, other: &Response) -> Result<()> {
    let seen = |response: &Response| {
        let headers = response.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>();
        (response.status, headers, response.body.clone())
    };
    ensure!(seen(one) == seen(other), "{one:?} differs from {other:?}");
    Ok(())
}
