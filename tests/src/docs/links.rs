//! The links of a document, and its anchors for the links of others.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::pages::{Page, pages, resolve};
use crate::tools::project_root;

/// A link or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The destination as the document spells it.
    pub written: String,
    /// The file in the repository. `None` for a link to the web or out of the repository.
    pub path: Option<String>,
    /// The part behind `#`, empty without an anchor.
    pub anchor: String,
    /// Set for a link to the web.
    pub is_web: bool,
}

/// Returns the links of a document.
pub fn links(page: &Page) -> Vec<Link> {
    let destination = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.into_string())
        }
        Event::Html(html) | Event::InlineHtml(html) => {
            let (_, rest) = html.split_once("src=\"").or_else(|| html.split_once("srcset=\""))?;
            rest.split_once('"').map(|(source, _)| source.to_owned())
        }
        _ => None,
    };
    let link = |written: String| {
        let is_web = written.contains("://") || written.starts_with("mailto:");
        let (path, anchor) = written.split_once('#').unwrap_or((&written, ""));
        let target = if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
        let (path, anchor) = (target.filter(|_| !is_web), anchor.to_owned());
        Link { written, path, anchor, is_web }
    };
    parser(&page.text).filter_map(destination).map(link).collect()
}

/// Returns the anchors of a document's headings, as mdBook and GitHub make them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut heading: Option<String> = None;
    for event in parser(text) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), _) => {
                let anchor = normalized(&heading.take().unwrap_or_default());
                let same = anchors.iter().filter(|other: &&String| is_numbered(other, &anchor)).count();
                anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
            }
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            _ => {}
        }
    }
    anchors
}

/// Returns whether `other` is `anchor`, or that with a number behind it.
fn is_numbered(other: &str, anchor: &str) -> bool {
    other.strip_prefix(anchor).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('-').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn normalized(heading: &str) -> String {
    let kept = heading.chars().filter_map(|char| match char {
        char if char.is_alphanumeric() || char == '_' || char == '-' => Some(char.to_ascii_lowercase()),
        char if char.is_whitespace() => Some('-'),
        _ => None,
    });
    kept.collect()
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
}

/// Checks that every link of every document leads to a file, and each anchor to a heading.
///
/// # Errors
///
/// Broken links, all with their documents.
pub fn check_links() -> Result<()> {
    let mut wrong = Vec::new();
    for page in pages()? {
        for link in links(&page).into_iter().filter(|link| !link.is_web) {
            if let Err(error) = check(&link) {
                wrong.push(format!("{}: `{}`: {error}", page.path, link.written));
            }
        }
    }
    ensure!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    Ok(())
}

fn check(link: &Link) -> Result<()> {
    let path = link.path.as_ref().context("it leads out of the repository")?;
    let file = project_root().join(path);
    ensure!(file.exists(), "there is no `{path}`");
    if link.anchor.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(file).context("an anchor is in a page")?;
    ensure!(anchors(&text).contains(&link.anchor), "`{path}` has no heading of that name");
    Ok(())
}
