//! The variables that a policy reads, by asking it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use keyswap_core::jwt::PureRust;
use keyswap_core::{Capabilities, Engine, Environment, Policy, Services};

/// Has nothing, and notes what it is asked for.
#[derive(Default)]
struct Asked(RefCell<BTreeSet<String>>);

impl Environment for Asked {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.borrow_mut().insert(name.to_owned());
        None
    }
}

/// The variables whose values the policy makes secrets of.
pub(crate) fn variables(policy: &Policy) -> BTreeSet<String> {
    let asked = Asked::default();
    // It fails for want of values; what it asked for on the way is the answer.
    let _ = Engine::new(policy.clone(), &asked, &Services::new(Box::new(PureRust), Capabilities::ENVOY));
    asked.0.into_inner()
}
