//! An upstream credential in a file of the host, read again as long as a policy names it.
//!
//! Other programs replace the file, at any time and not always in one step. So a value stays until the file has
//! another one. A file that is gone, empty or unreadable is noted, and takes nothing away.

use std::cell::RefCell;
use std::rc::Rc;

use super::agent::Freshness;
use crate::base::Moment;
use crate::host::{Environment, SecretFileError};
use crate::policy::PolicyError;
use crate::secret::{Key, Secret};

pub(crate) struct CredentialFile {
    path: String,
    /// The place in the policy that named the file first.
    place: String,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    current: Option<FileValue>,
    /// The failures since the last value was read.
    failures: u32,
    /// The last note about a failure, which is not repeated.
    failure: String,
    has_warned: bool,
}

/// A value of a file.
#[derive(Clone)]
pub(crate) struct FileValue {
    pub(crate) key: Rc<Key>,
    /// The moment at which it was read; `None` where it was there from the beginning.
    pub(crate) read_at: Option<Moment>,
}

/// An outcome of reading that gives no value.
enum Fault {
    Missing,
    /// The file is there and was meant, but cannot be used.
    Unusable(String),
}

impl CredentialFile {
    /// Returns a file that was not read yet. `place` is the source's place in the policy.
    pub(crate) fn new(path: &str, place: &str) -> Self {
        Self { path: path.to_owned(), place: format!("{place}.file"), state: RefCell::default() }
    }

    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// Reads the file, unless there is a value already.
    ///
    /// # Errors
    /// A file that is there and unusable, even where a later source would do: it was meant.
    pub(crate) fn open(&self, environment: &dyn Environment) -> Result<(), PolicyError> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Ok(()) };
        if state.current.is_some() {
            return Ok(());
        }
        match self.read(environment) {
            Ok((secret, _)) => {
                let key = Rc::new(Key::new(secret));
                state.current = Some(FileValue { key, read_at: None });
            }
            Err(Fault::Missing) => {}
            Err(Fault::Unusable(fault)) => {
                let message = format!("the file `{}` {fault}", self.path);
                return Err(PolicyError { path: self.place.clone(), message });
            }
        }
        Ok(())
    }

    /// Reads the file again. Returns notes for the log, which hold nothing of the content.
    pub(crate) fn look(&self, environment: &dyn Environment, now: Moment) -> Vec<String> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Vec::new() };
        let (read, mut notes) = (self.read(environment), Vec::new());
        match read {
            Ok((secret, is_open_to_all)) => {
                if is_open_to_all && !std::mem::replace(&mut state.has_warned, true) {
                    notes.push(
                        self.note("may be read by every user of the machine: take that permission away"),
                    );
                }
                if !state.current.as_ref().is_some_and(|current| current.key.is_of(&secret)) {
                    state.current = Some(FileValue { key: Rc::new(Key::new(secret)), read_at: Some(now) });
                    notes.push(self.note("has a new value, which requests carry from now on"));
                }
                (state.failures, state.failure) = (0, String::new());
            }
            Err(fault) => {
                let fault = match fault {
                    Fault::Missing => SecretFileError::Missing.to_string(),
                    Fault::Unusable(fault) => fault,
                };
                state.failures = state.failures.saturating_add(1);
                if state.failure != fault {
                    let kept = if state.current.is_some() { "; its last value stays in use" } else { "" };
                    notes.push(self.note(&format!("{fault}{kept}")));
                    state.failure = fault;
                }
            }
        }
        notes
    }

    pub(crate) fn value(&self) -> Option<FileValue> {
        self.state.try_borrow().ok()?.current.clone()
    }

    pub(crate) fn freshness(&self) -> Option<Freshness> {
        let state = self.state.try_borrow().ok()?;
        Some(Freshness {
            fetched_at: state.current.as_ref().and_then(|current| current.read_at),
            expires_at: None,
            is_usable: state.current.is_some(),
            failures: state.failures,
            paused_until: None,
        })
    }

    /// Returns the secret, and whether every user of the machine may read it.
    fn read(&self, environment: &dyn Environment) -> Result<(Secret, bool), Fault> {
        let file = environment.file(&self.path).map_err(|error| match error {
            SecretFileError::Missing => Fault::Missing,
            error => Fault::Unusable(error.to_string()),
        })?;
        let secret = Secret::of_file(file.bytes).map_err(|error| Fault::Unusable(error.to_string()))?;
        Ok((secret, file.is_open_to_all))
    }

    fn note(&self, text: &str) -> String {
        format!("`{}`: the file `{}` {text}", self.place, self.path)
    }
}
