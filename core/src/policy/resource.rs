//! The proxy as its clients know it, in a policy: directions for clients without a credential.

use super::gateway::read_url;
use super::reader::Node;
use crate::answer::Resource;

#[inline(never)]
pub(super) fn read(node: &Node<'_>) -> Option<Resource> {
    let mut fields = node.fields()?;
    let url = fields.required("url").and_then(|node| read_url(&node));
    let sign_in = fields.optional("sign_in").map(|node| read_sign_in(&node));
    fields.finish();
    Some(Resource::new(&url?, sign_in.map_or(Some(None), |url| url.map(Some))?))
}

/// Reads the URL of any page. Browsers get it as it stands here.
fn read_sign_in(node: &Node<'_>) -> Option<String> {
    let is_page = |text: &&str| {
        text.starts_with("https://")
            && text.len() <= 2048
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'))
    };
    node.check(Some(node.text()?).filter(is_page), "expected a URL that begins with `https://`")
        .map(str::to_owned)
}
