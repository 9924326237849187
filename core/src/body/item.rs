//! An item of a conversation in a request: whether its id names what the API has kept.
//!
//! Of most items the API takes what the request says. Others it reads again from what it has kept under the id.

use super::named::Named;
use crate::provider::form::Form;

/// The types of items that the API takes from the request alone: it refuses one without its content. Of any other it may
/// read what it has kept under the id.
const SAID_IN_FULL: [&str; 13] = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "computer_call_output",
    "mcp_approval_response",
];

/// The types of items of which the request has all in a text that the API has sealed.
const SEALED: [&str; 2] = ["reasoning", "compaction"];

/// The part of an item that a request says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Said {
    /// Less than all: the API may read the rest of what it has kept.
    #[default]
    Nothing,
    InFull,
    /// All, if its seal is there.
    Sealed,
}

impl Said {
    /// Returns what an item of this type says.
    fn by(item_type: &[u8]) -> Self {
        let is_in = |types: &[&str]| types.iter().any(|it| it.as_bytes() == item_type);
        match item_type {
            _ if is_in(&SAID_IN_FULL) => Self::InFull,
            _ if is_in(&SEALED) => Self::Sealed,
            _ => Self::Nothing,
        }
    }
}

/// An item of a conversation, of which it is known at its end whether its id names what is kept.
pub(super) struct Item {
    /// The depth of its members.
    pub(super) depth: usize,
    id: Option<Vec<u8>>,
    /// The types and the seals that it has. Of two upstream reads one, and it is not known which.
    types: u32,
    seals: u32,
    said: Said,
    is_sealed: bool,
}

impl Item {
    pub(super) fn new(depth: usize) -> Self {
        Self { depth, id: None, types: 0, seals: 0, said: Said::default(), is_sealed: false }
    }

    /// Notes a member that has come by name.
    pub(super) fn begin(&mut self, form: Form) {
        match form {
            Form::ItemType => self.types = self.types.saturating_add(1),
            Form::ItemSeal => self.seals = self.seals.saturating_add(1),
            _ => {}
        }
    }

    /// Takes the text of a member; `None` is a text that is too long. Returns the id that another one replaces: upstream
    /// may read either.
    pub(super) fn take(&mut self, form: Form, text: Option<&[u8]>) -> Option<Vec<u8>> {
        match form {
            Form::ItemId => return self.id.replace(text.unwrap_or(&[0]).to_vec()),
            Form::ItemType => self.said = Said::by(text.unwrap_or_default()),
            Form::ItemSeal => self.is_sealed = text != Some(&[]),
            _ => {}
        }
        None
    }

    /// Tells the id unless the item says all of itself.
    pub(super) fn end(self, tell: &mut dyn FnMut(Named<'_>)) {
        let says_all = self.types == 1
            && match self.said {
                Said::InFull => true,
                Said::Sealed => self.seals == 1 && self.is_sealed,
                Said::Nothing => false,
            };
        self.id.filter(|id| !says_all && !id.is_empty()).into_iter().for_each(|id| tell(Named::Object(&id)));
    }
}
