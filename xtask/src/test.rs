//! `cargo xtask test`: builds the programs of the end-to-end tests, then runs all tests of the workspace.

use std::{env, ffi::OsString, num::NonZero, panic, path::PathBuf, process::Command, thread};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    AUTHORIZER, Build, COMPONENT, FILTER, KEYSWAP, MODULE, NATIVE, PASSTHROUGH, PROBE, RUST_EXAMPLE,
    build_workspace, tools,
};

/// The programs and modules that tests run, in groups. Those of a group are built one after the other, since cargo locks its
/// target folder. Linking a module takes one core, so the groups are built concurrently.
const BUILDS: [&[&Build]; 2] = [&[&FILTER, &AUTHORIZER, &PROBE], &[&COMPONENT, &PASSTHROUGH, &RUST_EXAMPLE]];

/// The tests of what the adapters do in Envoy. They run with the filter, and a second time with the dynamic module in its place.
/// The corpus of cases has a test for each host, and kinds of objects are rows of the engine's. Envoy drops the counters of a
/// module's configuration with it.
const ON_BOTH: &str = "(package(keyswap-tests) & binary(/^(bodies|objects)$/) | binary(hosts) & test(/^(broker|exchange|\
    hostile|leaks|limits|lookups|metrics|revocation|websocket)::/)) - test(component) - test(no_count_is_lost) - \
    test(/^(kinds|long|outages|sdks|exchange)::/)";

/// The tests of services, issuers, credentials and SDKs in Envoy. Engine and stream are the same in both adapters, and an
/// Envoy with the module is ready at once: V8 compiles the filter for seconds. With arguments they run with the filter.
const ON_THE_MODULE: &str = "(binary(objects) & test(/^(kinds|long|outages|sdks)::/) | binary(hosts) & test(/^(agents|bindings|\
    budgets|clients|cors|exchange|four_eyes|gateways|geo_fallback|global_ratelimit|identities|issuer_keys|jwt_attacks|\
    metered_sdks|openapi|openid_provider|registry|registry_connections|registry_tls|restored_registry|rollout|sdks|sessions|\
    signed_records|signing|upstream_credentials)::/)) - test(in_envoy_gateway) - test(filter)";

/// The variable with the number of tests that nextest runs concurrently.
const THREADS: &str = "NEXTEST_TEST_THREADS";

/// The options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Arguments for `cargo nextest run`, such as the name of a test.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    // Arguments select tests in nextest, which does not run doc tests.
    let is_everything = options.nextest.is_empty();
    eprintln!("building the filter, the components and the `keyswap` command …");
    let built = built(is_everything)?;
    let nextest = tools::nextest()?;
    let tests = |for_each_core| {
        let mut tests = at_a_time(Command::new(&nextest), for_each_core);
        tests.args(["nextest", "run", "--workspace", "--locked"]).envs(built.iter().cloned());
        tests
    };
    if !is_everything {
        return passes(tests(2).args(&options.nextest));
    }
    passes(tests(2).args(["-E", &format!("not ({ON_THE_MODULE})")]))?;
    passes(tests(3).env(NATIVE, "1").args(["-E", &format!("{ON_BOTH} | {ON_THE_MODULE}")]))?;
    // Nextest does not run doc tests.
    passes(cargo().args(["test", "--workspace", "--locked", "--doc"]))
}

/// Lets this many tests run concurrently for each core, unless the variable says otherwise. Most tests wait more than they
/// compute, for example for Envoy to start; those on the module wait the most.
fn at_a_time(mut tests: Command, for_each_core: usize) -> Command {
    if env::var_os(THREADS).is_none() {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        tests.env(THREADS, (for_each_core * cores).to_string());
    }
    tests
}

/// Builds the programs and modules that tests run. Returns the variables that pass their paths to the tests.
pub(crate) fn built(is_everything: bool) -> Result<Vec<(&'static str, PathBuf)>> {
    let named = |build: &&Build| Ok((build.variable, build.path()?));
    thread::scope(|scope| {
        let groups =
            BUILDS.map(|group| scope.spawn(move || group.iter().map(named).collect::<Result<Vec<_>>>()));
        let keyswap = if is_everything && env::var_os(KEYSWAP.variable).is_none() {
            (KEYSWAP.variable, build_workspace()?)
        } else {
            named(&&KEYSWAP)?
        };
        let mut all = vec![keyswap, named(&&MODULE)?];
        for group in groups {
            all.extend(group.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn passes(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .current_dir(tools::project_root())
        .status()
        .with_context(|| format!("cannot run `{program}`"))?;
    ensure!(status.success(), "some tests failed");
    Ok(())
}
