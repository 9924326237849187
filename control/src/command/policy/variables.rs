//! The variables that a configuration reads, by starting it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use keyswap_core::jwt::PureRust;
use keyswap_core::{Capabilities, Environment, Worker};

/// Has nothing, and notes what it is asked for.
#[derive(Clone, Default)]
struct Asked(Rc<RefCell<BTreeSet<String>>>);

impl Environment for Asked {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.borrow_mut().insert(name.to_owned());
        None
    }
}

/// The variables whose values the configuration, in JSON, makes secrets of.
pub(crate) fn variables(configuration: &[u8]) -> BTreeSet<String> {
    let asked = Asked::default();
    // It fails for want of values; what it asked for on the way is the answer.
    let _ =
        Worker::start(configuration, Box::new(asked.clone()), Box::new(PureRust), Capabilities::ENVOY, "");
    asked.0.take()
}
