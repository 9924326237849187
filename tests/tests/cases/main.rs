//! The case corpus in every host. All hosts must agree with the file and with each other: in the upstream's request,
//! and in the status, headers and body of the caller's answer.

mod core_host;
mod seen;

use anyhow::{Context as _, Result, ensure};
use keyswap_cases::{Case, Services, Suite};
use keyswap_core::answer::Reason;
use keyswap_core::host::Capabilities;
use keyswap_core::policy::Policy;
use keyswap_core::request::OwnedHead;
use keyswap_tests::cases::{corpus, minting, unkept};
use keyswap_tests::{
    Embedding, Envoy, Received, Request, Response, Script, Scripted, Server, Setup, Standin, UPSTREAM_HOSTS,
    Wasmtime, WasmtimeSetup, releases, tools,
};

use crate::core_host::{Core, now};
use crate::seen::Seen;

#[test]
fn core_decides_every_case_as_written() -> Result<()> {
    for (file, suite) in suites()? {
        let core = Core::start(&suite, Capabilities::ENVOY)?;
        for case in &suite.cases {
            let context = || format!("{file}: `{}`", case.name);
            core.decide(&case.request.head(None)?, case)?.check(case).with_context(context)?;
        }
    }
    Ok(())
}

#[test]
fn core_opens_what_is_brokered_and_nothing_else_that_mints() -> Result<()> {
    let suite = minting()?.suite;
    let core = Core::start(&suite, Capabilities::ENVOY)?;
    for case in &suite.cases {
        core.decide(&case.request.head(None)?, case)?.check(case).with_context(|| case.name.clone())?;
    }
    Ok(())
}

#[test]
fn core_refuses_all_that_an_api_keeps_whose_objects_are_not_known() -> Result<()> {
    let suite = unkept()?.suite;
    let core = Core::start(&suite, Capabilities::ENVOY)?;
    ensure!(suite.cases.len() > 100, "{} cases", suite.cases.len());
    for case in &suite.cases {
        core.decide(&case.request.head(None)?, case)?.check(case).with_context(|| case.name.clone())?;
    }
    Ok(())
}

#[test]
fn core_decides_every_case_as_written_where_no_memory_is_shared_and_nothing_upgraded() -> Result<()> {
    for (file, suite) in for_the_component()? {
        let core = Core::start(&suite, Capabilities::COMPONENT)?;
        for case in suite.cases.iter().cloned().map(Case::where_nothing_is_upgraded) {
            let context = || format!("{file}: `{}`", case.name);
            core.decide(&case.request.head(None)?, &case)?.check(&case).with_context(context)?;
        }
    }
    Ok(())
}

#[test]
fn the_filter_in_envoy_decides_every_case_like_core() -> Result<()> {
    envoy_decides_like_core(suites()?, |setup| setup)
}

/// The suites that ask most of a host: reasons, slots, bodies, objects, calls and upgrades.
const FOR_AN_OLD_ENVOY: [&str; 6] =
    ["budgets.yaml", "models.yaml", "objects.yaml", "refusals.yaml", "registry.yaml", "slots.yaml"];

#[test]
fn the_filter_in_the_oldest_envoy_decides_like_core() -> Result<()> {
    let mut suites = suites()?;
    suites.retain(|(file, _)| FOR_AN_OLD_ENVOY.iter().any(|name| file.ends_with(&format!("/{name}"))));
    ensure!(suites.len() == FOR_AN_OLD_ENVOY.len(), "{} suites", suites.len());
    envoy_decides_like_core(suites, |setup| setup.on(&releases::OLDEST_ENVOY))
}

#[test]
fn the_module_in_envoy_decides_every_case_like_core() -> Result<()> {
    envoy_decides_like_core(suites()?, Setup::native)
}

fn envoy_decides_like_core(suites: Vec<(String, Suite)>, change: fn(Setup) -> Setup) -> Result<()> {
    for (file, suite) in suites {
        let core = Core::start(&suite, Capabilities::ENVOY)?;
        let policy = suite.policy.as_ref().context("a policy")?;
        let hosts = suite.authorities();
        let names: Vec<&str> = UPSTREAM_HOSTS.into_iter().chain(hosts.iter().copied()).collect();
        let standin = Standin::start_with(0, &names)?;
        let registry = scripted_registry(&suite)?;
        // Envoy lets names with underscores pass here, so that the filter's own stripping is tested.
        let mut setup = Envoy::with(policy).upstream_hosts(hosts).upstream(&standin).registry(registry.address()).tweak(|bootstrap| {
            let options = bootstrap.pointer_mut(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/common_http_protocol_options",
            );
            options.expect("the bootstrap has these options")["headers_with_underscores_action"] = "ALLOW".into();
        });
        for (name, value) in suite.env.iter().flatten() {
            setup = setup.env(name, value);
        }
        let envoy = change(setup).start()?;
        for case in &suite.cases {
            let context = || format!("{file}: `{}`, in Envoy", case.name);
            let head = case.request.head(None)?;
            let (received, response) = serve(&envoy, &standin, &head, case).with_context(context)?;
            match case.envoy {
                Some(status) => ensure!(
                    response.status == status && received.is_empty(),
                    "{}: {}",
                    context(),
                    response.status
                ),
                None => same(&received, &response, &core, &head, case).with_context(context)?,
            }
        }
    }
    Ok(())
}

#[test]
fn the_component_in_wasmtime_decides_every_case_like_core() -> Result<()> {
    wasmtime_decides_every_case_like_core(|setup| setup)
}

#[test]
fn the_component_in_the_oldest_wasmtime_decides_every_case_like_core() -> Result<()> {
    wasmtime_decides_every_case_like_core(|setup| setup.on(&releases::OLDEST_WASMTIME))
}

fn wasmtime_decides_every_case_like_core(change: fn(WasmtimeSetup) -> WasmtimeSetup) -> Result<()> {
    for (file, suite) in for_the_component()? {
        let core = Core::start(&suite, Capabilities::COMPONENT)?;
        let (standin, registry) = (Standin::start()?, scripted_registry(&suite)?);
        let wasmtime = change(component(&suite, &standin, &registry)?).start()?;
        for case in &suite.cases {
            let context = || format!("{file}: `{}`, in Wasmtime", case.name);
            let head = case.request.head(None)?;
            let (received, response) = serve(&wasmtime, &standin, &head, case).with_context(context)?;
            let target = case.wasmtime_shows.as_ref().unwrap_or(&head.target).clone();
            let shown = OwnedHead { target, ..head };
            same(&received, &response, &core, &shown, case).with_context(context)?;
        }
    }
    Ok(())
}

#[test]
fn the_authorizer_in_node_decides_every_case_like_core() -> Result<()> {
    let host = Capabilities { shared_memory: true, passes: true, ..Capabilities::COMPONENT };
    for (file, suite) in for_the_component()? {
        let core = Core::start(&suite, host)?;
        let (standin, registry) = (Standin::start()?, scripted_registry(&suite)?);
        let node = component(&suite, &standin, &registry)?.start_embedded(Embedding::Express)?;
        for case in &suite.cases {
            let context = || format!("{file}: `{}`, in Node", case.name);
            let head = case.request.head(None)?;
            let served = serve(&node, &standin, &head, case);
            match (case.node, served) {
                (Some(0), served) => ensure!(served.is_err() && standin.take().is_empty(), context()),
                (Some(status), served) => {
                    let (received, response) = served.with_context(context)?;
                    ensure!(response.status == status && received.is_empty(), context());
                }
                (None, served) => {
                    let (received, response) = served.with_context(context)?;
                    same(&received, &response, &core, &head, case).with_context(context)?;
                }
            }
        }
    }
    Ok(())
}

/// Cases whose URL is another one as a `Request` of the Fetch standard has it: dot segments are resolved, and a fragment is cut
/// off. That URL is judged, and it is what goes on; one that none can have is refused by the server. Each with its status.
const NORMALISED: [(&str, u16); 8] = [
    ("a backslash", 400),
    ("an asterisk", 400),
    ("a climb out of the gateway", 403),
    ("a climb that is escaped", 403),
    ("a climbing segment", 403),
    ("an escaped climbing segment", 200),
    ("a fragment", 200),
    ("the path is judged before the credential", 401),
];

#[test]
fn the_authorizer_in_a_fetch_handler_forwards_what_core_forwards_and_nothing_else() -> Result<()> {
    let host = Capabilities { shared_memory: true, passes: true, ..Capabilities::COMPONENT };
    let mut failures = Vec::new();
    for (file, suite) in for_the_component()? {
        let core = Core::start(&suite, host)?;
        let (standin, registry) = (Standin::start()?, scripted_registry(&suite)?);
        let fetch = component(&suite, &standin, &registry)?.start_embedded(Embedding::Fetch)?;
        for case in &suite.cases {
            let head = case.request.head(None)?;
            let served = serve(&fetch, &standin, &head, case);
            let expected = core.decide(&head, case)?.seen.of_fetch();
            let normalised = NORMALISED.iter().find(|(name, _)| *name == case.name);
            let agrees = match &served {
                Err(_) => case.node == Some(0),
                Ok((received, response)) => match case.node.as_ref().or(normalised.map(|(_, status)| status))
                {
                    Some(status) => response.status == *status && (*status == 200 || received.is_empty()),
                    None => Seen::in_host(received, response).is_ok_and(|seen| seen.of_fetch() == expected),
                },
            };
            if !agrees {
                failures.push(format!("{file}: `{}`:\n host: {served:?}\n core: {expected:?}", case.name));
            }
        }
    }
    ensure!(failures.is_empty(), "{} decided otherwise:\n{}", failures.len(), failures.join("\n\n"));
    Ok(())
}

fn component(suite: &Suite, standin: &Standin, registry: &Scripted) -> Result<WasmtimeSetup> {
    let mut policy = suite.policy.clone().context("a policy")?;
    if let Some(registry) = policy.get_mut("registry") {
        // However slow the machine is, a call is not given up.
        registry["timeout"] = "30s".into();
    }
    let mut setup = Wasmtime::with(&policy).upstream(standin).agents(registry.address());
    if policy.get("registry").is_some() {
        setup = setup.registry(registry.address());
    }
    Ok(suite.env.iter().flatten().fold(setup, |setup, (name, value)| setup.env(name, value)))
}

/// Returns every suite of the corpus, with its place.
fn suites() -> Result<Vec<(String, Suite)>> {
    Ok(corpus()?.into_iter().map(|it| (it.place, it.suite)).collect())
}

/// Returns the suites for the component. The component must refuse exactly the suites that are `only_in_envoy`.
fn for_the_component() -> Result<Vec<(String, Suite)>> {
    let mut suites = suites()?;
    for (file, suite) in &suites {
        let policy = suite.policy.as_ref().context("a policy")?.to_string();
        let fits = Policy::from_json(policy.as_bytes())?.fits(Capabilities::COMPONENT).is_ok();
        ensure!(fits != suite.only_in_envoy, "{file}: the policy fits the component: {fits}");
    }
    suites.retain(|(_, suite)| !suite.only_in_envoy);
    Ok(suites)
}

/// Ensures that a host behaves like the engine. An error shows both answers.
fn same(
    received: &[Received],
    response: &Response,
    core: &Core,
    head: &OwnedHead,
    case: &Case,
) -> Result<()> {
    let (found, expected) = (Seen::in_host(received, response)?, core.decide(head, case)?.seen);
    ensure!(found == expected, "decided otherwise:\n host: {found:?}\n core: {expected:?}");
    Ok(())
}

#[test]
fn the_corpus_has_a_case_for_every_reason() -> Result<()> {
    let suites = suites()?;
    let cases = suites.iter().flat_map(|(_, suite)| &suite.cases);
    let replies = cases.flat_map(|case| case.reply.iter().chain(&case.without_upgrades));
    let covered: Vec<&str> = replies.filter_map(|reply| reply.reason.as_deref()).collect();
    for reason in Reason::ALL {
        // No request causes these reasons: the host must fail.
        let of_host = matches!(
            reason,
            Reason::HostFailure
                | Reason::RateLimitUnavailable
                | Reason::BudgetUnavailable
                | Reason::PolicyUnavailable
        );
        ensure!(of_host || covered.contains(&reason.code()), "no case for `{reason}`");
    }
    Ok(())
}

/// The page of the book that names all providers.
const PROVIDERS: &str = "docs/policies/providers.md";

#[test]
fn every_built_in_provider_has_a_row_and_is_in_the_documents() -> Result<()> {
    let policy = serde_json::json!({
        "version": "keyswap/v1",
        "credentials": {"cf": [{"env": "K"}], "workers-ai": [{"env": "K"}]},
        "providers": {"azure-openai": {"path": "/acme"}},
        "gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "byok"}},
    });
    let policy = Policy::from_json(policy.to_string().as_bytes())?;
    let suites = corpus()?;
    let table = suites.iter().find(|it| it.place == "providers.yaml, byok").context("there is no table")?;
    let rows = table.document["policy"]["tokens"][0]["providers"].as_array();
    let rows = rows.context("the token has a scope")?;
    let page = std::fs::read_to_string(tools::project_root().join(PROVIDERS))?;
    let names: Vec<&str> = policy.provider_names().collect();
    ensure!(names.len() > 20, "only {names:?} are enabled");
    for name in names {
        ensure!(rows.iter().any(|row| row == name) || name == "cloudflare-rest", "no row for `{name}`");
        ensure!(page.contains(&format!("`{name}`")), "{PROVIDERS} does not name `{name}`");
    }
    Ok(())
}

/// Starts one server for all services of a suite.
fn scripted_registry(suite: &Suite) -> Result<Scripted> {
    let services = Services::of(suite);
    Scripted::start(move |call| match services.answer(&call.target, &call.body, now()) {
        Some(answer) => Script::answer(answer.status, answer.body),
        None => Script::answer(404, ""),
    })
}

/// Sends a request to a host. Returns the upstream's requests and the caller's answer.
fn serve(
    host: &Server,
    standin: &Standin,
    head: &OwnedHead,
    case: &Case,
) -> Result<(Vec<Received>, Response)> {
    let mut request = Request::new(&head.method, &head.target).body(case.body().unwrap_or_default());
    for (name, value) in &head.fields {
        request = request.header(name, value);
    }
    let response = host.send(&request)?;
    Ok((standin.take(), response))
}
