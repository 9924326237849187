//! The APIs whose objects are known.

use super::class::{Endpoints, Rows};
use super::objects::{KEEPING as CLASSES, Objects};
use super::{endpoints, kept};

static KNOWN: [(&[Rows], &Objects); 12] = [
    (&endpoints::OPENAI, &kept::OPENAI),
    (&endpoints::AZURE, &kept::AZURE),
    (&endpoints::ANTHROPIC, &kept::ANTHROPIC),
    (&endpoints::GEMINI, &kept::GEMINI),
    (&endpoints::VERTEX, &kept::VERTEX),
    (&endpoints::GROQ, &kept::GROQ),
    (&endpoints::GROK, &kept::GROK),
    (&endpoints::MISTRAL, &kept::MISTRAL),
    (&endpoints::COMPAT, &kept::OF_GATEWAYS),
    (&endpoints::UNIVERSAL, &kept::OF_GATEWAYS),
    (&endpoints::REST, &kept::OF_GATEWAYS),
    (&endpoints::VERCEL, &kept::OF_GATEWAYS),
];

/// Returns the objects of an API; `None` where they are not known.
pub(crate) fn objects_of(endpoints: &Endpoints) -> Option<&'static Objects> {
    let Endpoints::BuiltIn(rows, _) = endpoints else { return None };
    KNOWN.iter().find(|(own, _)| std::ptr::eq(*own, *rows)).map(|(_, objects)| *objects)
}

/// Returns whether an API has endpoints of a class of objects.
pub(crate) fn keeps_any(endpoints: &Endpoints) -> bool {
    match endpoints {
        Endpoints::BuiltIn(rows, _) => rows.iter().any(|rows| CLASSES.contains(&rows.0)),
        Endpoints::Own(rows) => rows.iter().any(|row| CLASSES.contains(&row.class)),
        Endpoints::Any => false,
    }
}
