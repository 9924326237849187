//! This proxy in a policy, as its clients know it: for those that have to find out how to get in.

use super::reader::Node;
use crate::resource::Resource;
use crate::url::BaseUrl;

pub(super) fn read(node: &Node<'_>) -> Option<Resource> {
    let mut fields = node.fields()?;
    let url = fields.required("url").and_then(|node| read_url(&node));
    let sign_in = fields.optional("sign_in").map(|node| read_sign_in(&node));
    fields.finish();
    let (scheme, url) = url?;
    Some(Resource::new(scheme, &url, sign_in.map_or(Some(None), |url| url.map(Some))?))
}

fn read_url(node: &Node<'_>) -> Option<(&'static str, BaseUrl)> {
    let text = node.text()?;
    let scheme = if text.starts_with("http://") { "http" } else { "https" };
    BaseUrl::parse(text).map_err(|message| node.fail(message)).ok().map(|url| (scheme, url))
}

/// Any page: it is shown to browsers as it stands here.
fn read_sign_in(node: &Node<'_>) -> Option<String> {
    let is_page = |text: &&str| {
        text.starts_with("https://")
            && text.len() <= 2048
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'))
    };
    node.check(Some(node.text()?).filter(is_page), "expected a URL that begins with `https://`")
        .map(str::to_owned)
}
