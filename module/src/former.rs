//! The engines of a lane that had a fault, while streams still have them.
//!
//! A former engine is worked on until its streams have ended and the registry was told what they took. One that has a fault
//! again is given up, and so are the oldest of many.

use std::rc::Rc;
use std::time::{Duration, Instant};

use keyswap_streams::{Shared, give_up};

use crate::faults::caught;
use crate::native::Native;

/// The most former engines that are worked on. So many faults within the life of a stream are no accident, and each engine has
/// caches of its own and follows the registry.
pub(crate) const MAX_FORMER: usize = 4;
/// The longest time for which a former engine goes on telling what its streams took, once it has none. Rows are gathered for
/// seconds, and a report without an answer is sent again after 30.
const MAX_TELLING_TIME: Duration = Duration::from_mins(1);

type Engine = Rc<Shared<Native>>;

/// The former engines, the oldest first.
#[derive(Default)]
pub(crate) struct FormerEngines(Vec<Former>);

struct Former {
    engine: Engine,
    /// Set where the engine is not worked on any more.
    is_given_up: bool,
    /// The time since which no stream has it.
    left: Option<Instant>,
}

impl FormerEngines {
    /// Adds an engine. Beyond [`MAX_FORMER`], the oldest is given up.
    pub(crate) fn add(&mut self, engine: Engine) {
        self.0.push(Former { engine, is_given_up: false, left: None });
        let excess = self.in_use().count().saturating_sub(MAX_FORMER);
        let in_use = self.0.iter_mut().filter(|former| !former.is_given_up);
        in_use.take(excess).for_each(Former::give_up);
    }

    /// Returns the engines that are worked on.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = &Engine> {
        self.0.iter().filter(|former| !former.is_given_up).map(|former| &former.engine)
    }

    /// Has an engine make no calls any more. Of its streams, those fail that wait, and those end whose revocation it would not
    /// hear of. All others go on.
    pub(crate) fn give_up(&mut self, engine: &Engine) {
        self.0.iter_mut().filter(|former| Rc::ptr_eq(&former.engine, engine)).for_each(Former::give_up);
    }

    /// Fails what has begun to wait for engines since they were given up.
    pub(crate) fn fail_waiting(&mut self) {
        self.0.iter_mut().filter(|former| former.is_given_up).for_each(Former::give_up);
    }

    /// Drops the engines that no stream has any more, once they have told all or have had the time for it.
    pub(crate) fn forget(
        &mut self,
        now: Instant,
        has_streams: impl Fn(&Engine) -> bool,
        has_told_all: impl Fn(&Engine) -> bool,
    ) {
        let is_over = |former: &mut Former| {
            if has_streams(&former.engine) {
                former.left = None;
                return false;
            }
            let left = *former.left.get_or_insert(now);
            former.is_given_up
                || now.saturating_duration_since(left) >= MAX_TELLING_TIME
                || caught(|| has_told_all(&former.engine)).unwrap_or(true)
        };
        let over: Vec<Former> = self.0.extract_if(.., is_over).collect();
        caught(|| drop(over));
    }

    /// Returns for each engine whether it is given up.
    #[cfg(test)]
    pub(crate) fn given_up(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(|former| former.is_given_up)
    }
}

impl Former {
    fn give_up(&mut self) {
        self.is_given_up = true;
        self.engine.host.is_rung.set(false);
        caught(|| give_up(&self.engine));
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;
    use std::sync::Arc;

    use keyswap_core::host::Capabilities;
    use keyswap_core::worker::Worker;

    use super::*;
    use crate::clock::Hand;
    use crate::environment::ProcessEnvironment;
    use crate::memory::Memory;
    use crate::post::Post;
    use crate::verifier::NativeVerifier;

    fn engine() -> Engine {
        let policy = br#"{"version": "keyswap/v1", "credentials": {"openai": [{"env": "PATH"}]}}"#;
        let (environment, verifier) = (Box::new(ProcessEnvironment::new()), Box::new(NativeVerifier));
        let worker = Worker::start(policy, environment, verifier, Capabilities::MODULE, "plane").unwrap();
        let native = Native {
            worker: 0,
            memory: Memory::of("former"),
            post: Arc::new(Post::new(null_mut())),
            hand: Hand::default(),
            is_rung: false.into(),
            calls: Vec::new().into(),
            last_call: Arc::default(),
        };
        Rc::new(Shared::new(worker, native))
    }

    #[test]
    fn an_engine_stays_until_it_has_told_what_its_streams_took() {
        let (now, mut former) = (Instant::now(), FormerEngines::default());
        let stays = |former: &mut FormerEngines, seconds, has_streams, has_told| {
            former.forget(now + Duration::from_secs(seconds), |_| has_streams, |_| has_told);
            former.in_use().count() == 1
        };
        former.add(engine());
        assert!(stays(&mut former, 0, true, true) && stays(&mut former, 100, true, true));
        assert!(stays(&mut former, 100, false, false) && stays(&mut former, 159, false, false));
        assert!(!stays(&mut former, 160, false, false), "the registry may never answer");
        former.add(engine());
        assert!(stays(&mut former, 200, false, false) && !stays(&mut former, 201, false, true));
    }

    #[test]
    fn an_engine_whose_books_are_a_fault_is_gone() {
        let mut former = FormerEngines::default();
        former.add(engine());
        former.forget(Instant::now(), |_| false, |_| panic!("a fault"));
        assert_eq!(former.given_up().count(), 0);
    }
}
