//! A program that judges one request as a server would, and prints what to do with it:
//!
//! `keyswap-embedded keyswap-authorizer.wasm policy.json METHOD TARGET ['NAME: VALUE' …]`
//!
//! The secrets that the policy names are taken from the environment. What would go upstream holds the real credential, so
//! only where it would go is printed.

use std::{
    env, fs,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use wasmtime::{
    Engine, Error, Result, Store,
    component::{Component, Linker, ResourceAny},
};

use self::exports::keyswap::auth::authorizer::{Abilities, Field, RequestHead, Step};

wasmtime::component::bindgen!({ path: "../../wit", world: "embedded" });

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [component, policy, method, target, lines @ ..] = arguments.as_slice() else {
        return Err(Error::msg("expected a component, a policy, a method, a target and the lines of a head"));
    };
    let head = RequestHead {
        method: method.clone(),
        target: target.clone(),
        fields: lines.iter().map(|line| field(line)).collect::<Result<_>>()?,
    };
    let mut keyswap = Keyswap::load(component, &fs::read_to_string(policy)?)?;
    let step = keyswap.judge(&head)?;
    keyswap.log()?.iter().for_each(|line| eprintln!("{line}"));
    Ok(tell(&step))
}

/// Prints what to do. A server would do it.
fn tell(step: &Step) -> ExitCode {
    match step {
        Step::Forward(forward) => {
            let scheme = if forward.https { "https" } else { "http" };
            println!("forward to {scheme}://{}", forward.authority);
            return ExitCode::SUCCESS;
        }
        Step::Reply(reply) => println!("answer {} {}", reply.status, reply.body),
        Step::Pass(pass) => println!("let it pass: {}", pass.facts.reason),
        // A server makes the call, gives its answer to `call.answered` and goes on with the step that this returns.
        Step::Call(_) => println!("make a call first"),
    }
    ExitCode::from(2)
}

/// Reads a line of the head. A line that is left out would be hidden from the engine, so there is an error instead.
fn field(line: &str) -> Result<Field> {
    let (name, value) = line.split_once(':').ok_or_else(|| Error::msg("expected a line `NAME: VALUE`"))?;
    Ok(Field { name: name.to_owned(), value: value.trim_ascii().as_bytes().to_vec() })
}

/// The authorizer with a policy.
struct Keyswap {
    store: Store<()>,
    embedded: Embedded,
    engine: ResourceAny,
}

impl Keyswap {
    fn load(component: &str, policy: &str) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, component)?;
        let mut store = Store::new(&engine, ());
        // It imports nothing.
        let embedded = Embedded::instantiate(&mut store, &component, &Linker::new(&engine))?;
        let variables: Vec<(String, String)> = env::vars().collect();
        let abilities = Abilities { counts: true, upgrades: false, injects_credentials: false, passes: true };
        let guest = embedded.keyswap_auth_authorizer().engine();
        let created = guest.call_create(&mut store, policy, &variables, abilities, "rust")?;
        let engine = created.map_err(|errors| {
            let lines = errors.iter().map(|error| format!("error at `{}`: {}", error.path, error.message));
            Error::msg(lines.collect::<Vec<_>>().join("\n"))
        })?;
        Ok(Self { store, embedded, engine })
    }

    fn log(&mut self) -> Result<Vec<String>> {
        let guest = self.embedded.keyswap_auth_authorizer().engine();
        guest.call_log(&mut self.store, self.engine)
    }

    fn judge(&mut self, head: &RequestHead) -> Result<Step> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let guest = self.embedded.keyswap_auth_authorizer().engine();
        guest.call_judge(&mut self.store, self.engine, head, now)
    }
}
