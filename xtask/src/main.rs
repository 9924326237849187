//! Tasks that cargo has no command for: `cargo xtask up`, `test`, `agents`, `component`, `bench`, `instructions`, `scan-cost`,
//! `fuzz`, `reference`, `mutants`, `soak`, `scale`, `traps`, `litellm`, `structure`, `advisories`, `docs` and `dist`.

mod advisories;
mod agents;
#[cfg(target_os = "linux")]
mod bench;
mod component;
mod dist;
mod docs;
mod fuzz;
mod instructions;
mod litellm;
mod measured;
mod mutants;
mod reference;
mod scale;
mod scan_cost;
mod soak;
mod structure;
mod test;
mod traps;
mod up;

use std::process::ExitCode;

use clap::Parser;

/// Tasks of the Keyswap repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build what `keyswap up` needs, and run it.
    Up(up::Options),
    /// Run every test: units, cases, and end to end in a real Envoy with the real SDKs.
    Test(test::Options),
    /// Run every coding agent of the tests, also those that take long to install.
    Agents(agents::Options),
    /// Build the component, and the authorizer alone.
    Component(component::Options),
    /// Measure what a request costs: Keyswap beside Envoy alone, Envoy's own filters, Lua and `ext_authz`.
    #[cfg(target_os = "linux")]
    Bench(bench::Options),
    /// Count the instructions of the engine's decisions, and compare them with the baseline in the repository.
    Instructions(instructions::Options),
    /// Measure what the scanning of bodies costs in Wasm, beside its targets.
    ScanCost(scan_cost::Options),
    /// Look for inputs that break a parser of what others control.
    Fuzz(fuzz::Options),
    /// Compare the engine with a naive reference of the decision, over random logs.
    Reference(reference::Options),
    /// Change the engine in one place at a time, and count the changes that no test notices.
    Mutants(mutants::Options),
    /// Send mixed traffic through two Envoys for half an hour, with a fault of a service every ten seconds.
    Soak(soak::Options),
    /// Send requests of as many tokens, people, providers and streams as the promises name.
    Scale(measured::Options),
    /// Let the filter trap and the module panic, in each callback and hook in turn.
    Traps(measured::Options),
    /// Run a LiteLLM proxy with a database, and record what its keys reach, for the test of the import.
    Litellm,
    /// Check that imports lead down the floors and close no circle, and that files have a size to be read.
    Structure,
    /// Check the dependencies against a copy of the advisories in the repository, without the internet.
    Advisories(advisories::Options),
    /// Build the book into `target/book`, and check every link of every document.
    Docs(docs::Options),
    /// Make what a release has: Wasm modules with checksums, images of them, and what they are made of.
    Dist(dist::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Up(options) => up::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Agents(options) => agents::run(&options),
        Task::Component(options) => component::run(&options),
        #[cfg(target_os = "linux")]
        Task::Bench(options) => bench::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::ScanCost(options) => scan_cost::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Reference(options) => reference::run(&options),
        Task::Mutants(options) => mutants::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Scale(options) => scale::run(&options),
        Task::Traps(options) => traps::run(&options),
        Task::Litellm => litellm::run(),
        Task::Structure => structure::run(),
        Task::Advisories(options) => advisories::run(&options),
        Task::Docs(options) => docs::run(&options),
        Task::Dist(options) => dist::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that `{error:?}` may add: it is the user's problem, not a defect.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
