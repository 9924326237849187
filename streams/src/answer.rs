//! The head of an answer, and what of it is not for the caller.

use keyswap_core::answer::{LocalReply, ResponseHeaders};
use keyswap_core::judge::AnswerHead;

use crate::host::{Host, HostError, Map};
use crate::lines::Lines as _;

/// The head of the answer that is on its way to the caller.
pub(crate) struct Answer<H: Host> {
    /// All of its lines, where each of them is looked at: then nothing else is asked of the host.
    lines: Option<H::Lines>,
}

impl<H: Host> AnswerHead for Answer<H> {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        let Some(lines) = &self.lines else { return H::get(Map::ResponseHeaders, name.as_bytes()) };
        let is_it = |(other, _): &(&[u8], &[u8])| other.eq_ignore_ascii_case(name.as_bytes());
        lines.iter().filter_map(Result::ok).find(is_it).map(|(_, value)| value.to_vec())
    }

    fn is_of_upstream(&self) -> bool {
        H::is_answered_by_upstream()
    }
}

impl<H: Host> Answer<H> {
    /// Reads the head of an answer, of `count` lines, as far as these changes need it.
    pub(crate) fn read(response: &ResponseHeaders, count: usize) -> Result<Self, HostError> {
        let lines = response.hides_any().then(|| H::lines(Map::ResponseHeaders, count)).transpose()?;
        Ok(Self { lines })
    }

    pub(crate) fn status(&self) -> Option<u16> {
        str::from_utf8(&self.value(":status")?).ok()?.parse().ok()
    }

    /// Removes the headers that are not for the caller. Returns the reply to give in place of an answer that must not be
    /// seen. What Envoy answers itself is not replaced.
    pub(crate) fn hide(&self, response: &ResponseHeaders) -> Option<LocalReply> {
        let lines = self.lines.as_ref()?;
        let replaced = response.may_replace().then(|| response.replaces(self.value(":status").as_deref()));
        replaced.flatten().filter(|_| self.is_of_upstream()).or_else(|| {
            let error = remove_hidden::<H>(Map::ResponseHeaders, response, lines).err()?;
            Some(unread(error))
        })
    }
}

/// Returns the reply in place of an answer that cannot be read.
pub(crate) fn unread(error: HostError) -> LocalReply {
    log::error!("an answer could not be read: {error}");
    LocalReply::host_failure()
}

/// Removes those headers from a head or from trailers.
pub(crate) fn remove_hidden<H: Host>(
    map: Map,
    response: &ResponseHeaders,
    lines: &H::Lines,
) -> Result<(), HostError> {
    for line in lines.iter() {
        let (name, value) = line?;
        if response.hides(name, value) {
            H::remove(map, name)?;
        }
    }
    Ok(())
}
