//! The objects of OpenAI's API, and of those in its form.
//!
//! Evaluations are left out: they read the stored completions of the whole account. So are agents and hosted chats.

use crate::provider::form::Form;
use crate::provider::objects::{Collection, ITEM, Made, Makes, Member, Objects};
use crate::provider::pages::Pages;

const FILES: Collection = Collection::new("/files", "file");
const BATCHES: Collection = Collection::new("/batches", "batch");
const RESPONSES: Collection =
    Collection { makes: Makes::UnlessDeclined, ..Collection::new("/responses", "response") };
const MODELS: Collection =
    Collection { makes: Makes::Never, begins: "ft:", ..Collection::new("/models", "model") };

const COLLECTIONS: [Collection; 19] = [
    Collection { pages: Pages::ByIdWhole, ..FILES },
    Collection::new("/uploads", "upload"),
    Collection { pages: Pages::ById, ..BATCHES },
    Collection::paged("/fine_tuning/jobs", "job"),
    Collection { makes: Makes::Never, begins: "ft:", ..Collection::new("/fine_tuning/checkpoints", "model") },
    Collection::new("/fine-tunes", "job"),
    MODELS,
    RESPONSES,
    Collection::new("/conversations", "conversation"),
    Collection { makes: Makes::IfAsked, ..Collection::paged("/chat/completions", "completion") },
    Collection::paged("/assistants", "assistant"),
    Collection { makes: Makes::Never, ..Collection::new("/threads/runs", "thread") },
    Collection::new("/threads", "thread"),
    Collection::paged("/vector_stores", "vector_store"),
    Collection::paged("/containers", "container"),
    Collection::new("/videos/characters", "character"),
    Collection {
        also: &["/videos/edits", "/videos/extensions", "/videos/{}/remix"],
        ..Collection::paged("/videos", "video")
    },
    Collection::paged("/skills", "skill"),
    Collection::new("/audio/voices", "voice"),
];

const PLAIN: &[&str] = &["/responses/compact", "/responses/input_tokens", "/fine_tuning/alpha/graders/{}"];

/// Answers that tell items. A request names items by their ids, also those that it does not repeat.
const ITEMS: &[&str] =
    &["/responses", "/responses/{}", "/responses/{}/input_items", "/conversations/{}/items"];

/// The beginnings of ids of what the tools of the API did: no request can say all of it.
const UNKEPT_ITEMS: &[&str] = &["ws_", "fs_", "ci_", "ig_", "mcp_", "mcpl_", "mcpr_", "cu_", "tsc_"];

/// Words that Realtime has in the place of a conversation.
const NO_CONVERSATION: Form = Form::IdOr(&["auto", "none"]);

const MEMBERS: [Member; 38] = [
    Member::id("previousresponseid"),
    Member::of("conversation", NO_CONVERSATION),
    Member::within("conversation", "id"),
    Member::id("conversationid"),
    Member::id("fileid"),
    Member::id("fileids"),
    Member::id("inputfileid"),
    Member::id("inputfiles"),
    Member::of("purpose", Form::Purpose),
    Member::id("vectorstoreid"),
    Member::id("vectorstoreids"),
    Member::id("container"),
    Member::within("container", "id"),
    Member::id("containerid"),
    Member::id("trainingfile"),
    Member::id("validationfile"),
    Member::id("trainingfiles"),
    Member::id("validationfiles"),
    Member::id("assistantid"),
    Member::id("threadid"),
    Member::id("agentid"),
    Member::id("libraryids"),
    Member::of("skillid", Form::Begins("skill_")),
    Member::of("model", Form::Begins("ft:")),
    Member::of("models", Form::Begins("ft:")),
    Member::within("video", "id"),
    Member::within("characters", "id"),
    Member::within("voice", "id"),
    Member::within("source", "id"),
    Member::within("audio", "id"),
    Member::of("input", Form::Items),
    Member::of("items", Form::Items),
    Member::of_item("input", "id", Form::ItemId),
    Member::of_item("items", "id", Form::ItemId),
    Member::of_item("input", "type", Form::ItemType),
    Member::of_item("items", "type", Form::ItemType),
    Member::of_item("input", "encryptedcontent", Form::ItemSeal),
    Member::of_item("items", "encryptedcontent", Form::ItemSeal),
];

/// `client_metadata` tells of the program that calls: Codex has a `thread_id` of its own there.
const FREE: &[&str] = &["metadata", "clientmetadata", "parameters", "schema", "inputschema", "headers"];
const PARAMETERS: &[&str] = &["file_id", "vector_store_id", "assistant_id", "thread_id", "call_id"];
const CURSORS: &[&str] = &["after", "before"];

const MADE: Made = Made {
    paths: &[
        &["id"],
        &["response", "id"],
        &["file", "id"],
        &["output_file_id"],
        &["error_file_id"],
        &["result_files", "*"],
        &["fine_tuned_model"],
        &["data", "*", "fine_tuned_model_checkpoint"],
        &["output", "*", "container_id"],
        &["response", "output", "*", "container_id"],
        &["item", "container_id"],
        &["thread_id"],
        &["conversation_id"],
        &["output_file"],
        &["error_file"],
        &["choices", "*", "message", "audio", "id"],
        &["choices", "*", "delta", "audio", "id"],
        &["output", "*", "id"],
        &["response", "output", "*", "id"],
        &["item", "id"],
        &["data", "*", "id"],
    ],
    kinds: &[
        "",
        "",
        "file",
        "file",
        "file",
        "file",
        "model",
        "model",
        "container",
        "container",
        "container",
        "thread",
        "conversation",
        "file",
        "file",
        "audio",
        "audio",
        ITEM,
        ITEM,
        ITEM,
        ITEM,
    ],
};

/// Words of a gateway whose models are OpenAI's, among others. It keeps nothing itself.
pub(in crate::provider) static OF_GATEWAYS: Objects =
    Objects { account: "openai", collections: &[], plain: &[], parameters: &[], cursors: &[], ..FORM };

const FORM: Objects = Objects {
    account: "",
    prefix: "",
    collections: &COLLECTIONS,
    plain: PLAIN,
    has_names: false,
    members: &MEMBERS,
    items: ITEMS,
    unkept_items: UNKEPT_ITEMS,
    free: FREE,
    telling: &["/fine_tuning/jobs/{}/checkpoints", "/responses/{}/input_items", "/conversations/{}/items"],
    uploads: &[],
    links: None,
    parameters: PARAMETERS,
    cursors: CURSORS,
    made: MADE,
    lists: &[&["data"], &["data", "*", "id"], &["first_id"], &["last_id"], &["has_more"]],
    arrays: 1,
    has_edges: true,
};

pub(in crate::provider) static OPENAI: Objects = FORM;

pub(in crate::provider) static AZURE: Objects = Objects { prefix: "/openai/v1", ..FORM };

pub(in crate::provider) static GROQ: Objects = Objects {
    collections: &[FILES, BATCHES, RESPONSES, Collection::new("/fine_tunings", "job"), MODELS],
    ..FORM
};

pub(in crate::provider) static GROK: Objects = Objects { collections: &[FILES, RESPONSES, MODELS], ..FORM };

pub(in crate::provider) static MISTRAL: Objects = Objects {
    collections: &[
        FILES,
        Collection::new("/batch/jobs", "batch"),
        Collection::new("/fine_tuning/jobs", "job"),
        Collection { makes: Makes::Never, begins: "ft:", ..Collection::new("/fine_tuning/models", "model") },
        MODELS,
        Collection::new("/libraries", "library"),
    ],
    ..FORM
};
