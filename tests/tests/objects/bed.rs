//! The bed: callers, data planes, and the requests that callers send.

use std::{collections::BTreeSet, net::SocketAddr, ops::Deref, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Embedding, Envoy, KEYSWAP, KINDS, Kind, Registry, Request, Response, Script, Server, Setup, Shelf,
    Testbed, Told, Wasmtime, WasmtimeSetup, clients::matrix::Provider, tools,
};
use serde_json::{Value, json};

/// An id that no shelf makes.
pub(crate) const NEVER: &str = "999999";

/// A caller, by its token.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// A data plane.
pub(crate) type Plane = Box<dyn Deref<Target = Server>>;

/// The hosts of two data planes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hosts {
    Envoys,
    /// The component in Wasmtime, and the authorizer in Express.
    ComponentAndExpress,
    /// The authorizer in Starlette and in Hono.
    PythonAndHono,
}

/// Returns the answer of a feed without changes, to a call that may wait for some.
pub(crate) fn quiet_feed(target: &str) -> Script {
    let nothing =
        Script::answer(200, r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#);
    if target.contains("wait=") { Script::After(Duration::from_secs(4), Box::new(nothing)) } else { nothing }
}

/// A shelf behind two data planes that ask one registry.
pub(crate) struct Bed {
    pub(crate) shelf: Shelf,
    pub(crate) registry: Registry,
    pub(crate) planes: [Plane; 2],
    pub(crate) alice: Caller,
    pub(crate) bob: Caller,
}

/// The environment of a data plane.
const ENV: [(&str, &str); 4] = [
    ("OPENAI_API_KEY", "sk-real-openai"),
    ("ANTHROPIC_API_KEY", "sk-real-anthropic"),
    ("GEMINI_API_KEY", "real-gemini-key"),
    ("KEYSWAP_REGISTRY_TOKEN", Registry::TOKEN),
];

fn policy() -> Value {
    let mut policy = Testbed::policy();
    policy["tokens"] = json!([]);
    policy["registry"] = Testbed::registry();
    // However slow the machine is, a call is not given up.
    policy["registry"]["timeout"] = json!("30s");
    policy["registry"]["cache"] = json!({"positive": "10m"});
    for provider in ["groq", "mistral", "azure-openai", "google-vertex-ai"] {
        policy["credentials"][provider] = json!([{"env": "OPENAI_API_KEY"}]);
    }
    policy["providers"]["azure-openai"] = json!({"url": "https://acme.openai.azure.com/openai/v1"});
    policy
}

/// Returns the set-up of a data plane in front of an upstream in plain HTTP.
pub(crate) fn plane(shelf: SocketAddr, registry: SocketAddr) -> Setup {
    let hosts: BTreeSet<&str> = KINDS.iter().map(Kind::host).collect();
    let setup = Envoy::with(&policy()).upstream_hosts(hosts).plain_upstream(shelf).registry(registry);
    ENV.into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
}

/// Returns the set-up of a data plane without Envoy.
fn component(shelf: &Shelf, registry: SocketAddr) -> WasmtimeSetup {
    let mut policy = policy();
    for provider in [Provider::OpenAi, Provider::Anthropic, Provider::Gemini] {
        policy["providers"][name(provider)] = json!({"url": shelf.url(provider.host())});
    }
    for kind in KINDS.iter().filter(|kind| !kind.at.is_empty()) {
        // A URL of one's own stands for the beginning of Groq's paths, too.
        let prefix = if kind.base == "/groq" { "/openai/v1" } else { "" };
        let url = format!("{}{prefix}", shelf.url_of(kind));
        policy["providers"][kind.base.trim_start_matches('/')] = json!({"url": url});
    }
    let setup = Wasmtime::with(&policy).registry(registry);
    ENV.into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
}

fn embedded(shelf: &Shelf, registry: SocketAddr, embedding: Embedding) -> Result<Plane> {
    Ok(Box::new(Box::new(component(shelf, registry).start_embedded(embedding)?)))
}

impl Hosts {
    pub(crate) const ALL: [Self; 3] = [Self::Envoys, Self::ComponentAndExpress, Self::PythonAndHono];

    fn start(self, upstream: &Shelf, registry: SocketAddr) -> Result<[Plane; 2]> {
        let embedded = |embedding| embedded(upstream, registry, embedding);
        Ok(match self {
            Self::Envoys => {
                let plane = || plane(upstream.address(), registry).start();
                [Box::new(plane()?), Box::new(plane()?)]
            }
            Self::ComponentAndExpress => {
                [Box::new(component(upstream, registry).start()?), embedded(Embedding::Express)?]
            }
            Self::PythonAndHono => [embedded(Embedding::Python)?, embedded(Embedding::Hono)?],
        })
    }
}

impl Bed {
    pub(crate) fn start() -> Result<Self> {
        Self::on(Hosts::Envoys)
    }

    /// Starts the data planes on these hosts.
    pub(crate) fn on(hosts: Hosts) -> Result<Self> {
        let (shelf, registry) = (Shelf::start()?, Registry::start()?);
        let (alice, bob) = (Caller::new(&registry, "alice")?, Caller::new(&registry, "bob")?);
        let planes = hosts.start(&shelf, registry.address())?;
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
    /// Makes a caller that may call every provider of the shelf.
    pub(crate) fn new(registry: &Registry, label: &str) -> Result<Self> {
        let providers =
            ["openai", "anthropic", "gemini", "groq", "mistral", "azure-openai", "google-vertex-ai"];
        let scope = json!({"label": label, "providers": providers.map(|it| format!("{it}:*"))});
        let made = registry.create_token(&scope)?;
        Ok(Self(made["token"].as_str().context("no token")?.to_owned()))
    }

    /// Returns a request of the caller at a path of the provider.
    pub(crate) fn send(&self, kind: &Kind, method: &str, path: &str) -> Request {
        match kind.provider {
            Provider::Anthropic => {
                Request::new(method, format!("/anthropic{path}")).header("x-api-key", &self.0)
            }
            Provider::Gemini => Request::new(method, path).header("x-goog-api-key", &self.0),
            Provider::OpenAi | Provider::GeminiOpenAi => {
                let path = path.strip_prefix(kind.under).unwrap_or(path);
                Request::new(method, format!("{}{path}", kind.base)).bearer(&self.0)
            }
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
        let named = |(path, body): &(&str, &str)| self.post(kind, path, &body.replace("{}", id));
        let mut requests = self.verbs(kind, id);
        requests.extend(kind.uses.iter().map(named));
        requests
    }

    /// Returns the requests of the caller on one object, but for its deletion.
    pub(crate) fn verbs(&self, kind: &Kind, id: &str) -> Vec<Request> {
        let path = format!("{}/{id}", kind.collection);
        let verb = |(method, behind): &(&str, &str)| match *method {
            "GET" => self.get(kind, &format!("{path}{behind}")),
            _ => self.post(kind, &format!("{path}{behind}"), "{}"),
        };
        let mut requests = vec![self.get(kind, &path)];
        requests.extend(kind.verbs.iter().map(verb));
        requests
    }
}

/// Returns the name of a provider in the policy.
pub(crate) fn name(provider: Provider) -> &'static str {
    match provider {
        Provider::Anthropic => "anthropic",
        Provider::Gemini | Provider::GeminiOpenAi => "gemini",
        Provider::OpenAi => "openai",
    }
}

/// Returns the kind of a provider with this name.
pub(crate) fn kind(provider: Provider, name: &str) -> Result<&'static Kind> {
    let found = KINDS.iter().find(|kind| kind.provider == provider && kind.name == name);
    found.with_context(|| format!("no kind `{name}`"))
}

/// Returns the id that an object or an answer tells.
pub(crate) fn id_in(kind: &Kind, object: &Value) -> Result<String> {
    let name = match kind.told {
        Told::Tuned if object.get("fine_tuned_model").is_some() => &object["fine_tuned_model"],
        Told::Id | Told::Chunks | Told::Tuned => &object["id"],
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
