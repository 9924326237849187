//! Globs: texts in which `*` is any text.

/// Returns whether a glob has a text. `same` compares two bytes. The time is at most the product of both lengths.
pub(crate) fn fits(glob: &[u8], text: &[u8], same: fn(&u8, &u8) -> bool) -> bool {
    let (mut glob, mut text) = (glob, text);
    // The places behind the last star, from which the rest is tried again one byte further.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                glob = rest;
                again = Some((rest, text));
            }
            (Some((wanted, rest)), Some((byte, behind))) if same(wanted, byte) => {
                (glob, text) = (rest, behind);
            }
            (None, None) => return true,
            _ => {
                let Some((rest, from)) = again else { return false };
                let Some((_, behind)) = from.split_first() else { return false };
                (glob, text) = (rest, behind);
                again = Some((rest, behind));
            }
        }
    }
}
