//! The pieces of the transcript. Each takes owned data and gives markup; nothing here reads a thread.

mod ask;
mod call;
mod diff;
mod facts;
mod message;
mod task;

use crate::base_path::BasePath;
use crate::clock::Clock;
use crate::timeline::{Body, Item};
use maud::{Markup, html};

pub(crate) use ask::ask_line;
pub(crate) use call::call_page;
pub(crate) use facts::{Facts, regions, title_text};
pub(crate) use message::{answer_shell, block_markup as block};

/// What every piece needs to know of the page around it.
#[derive(Clone)]
pub(crate) struct Context {
    /// Where the workbench lives.
    pub(crate) base: BasePath,
    /// The chat.
    pub(crate) chat: String,
    /// The visitor's form token.
    pub(crate) csrf: String,
    pub(crate) clock: Clock,
}

impl Context {
    /// The hidden field that every form carries.
    pub(crate) fn csrf_field(&self) -> Markup {
        csrf_field(&self.csrf)
    }
}

/// The hidden field that every form carries.
pub(crate) fn csrf_field(csrf: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(csrf); }
}

/// One item of the timeline, whole.
pub(crate) fn item(context: &Context, item: &Item) -> Markup {
    let (key, order) = (item.key.as_str(), item.order);
    match &item.body {
        Body::Prompt {
            text,
            at,
            attachments,
        } => message::prompt(context, key, order, text, at, attachments),
        Body::Answer { text, .. } => answer_shell(key, order, &crate::markdown::render(text)),
        Body::Calls { calls, waiting } => call::calls(context, key, order, calls, waiting),
        Body::Task { run, waiting } => task::lane(context, key, order, run, waiting),
        Body::Ask { ask, asker, folder } => {
            ask::approval(context, key, order, ask, asker.as_deref(), folder)
        }
        Body::Asked(asked) => ask::resolved(context, key, order, asked),
        Body::Question(question) => ask::question(context, key, order, question),
        Body::Answered(answered) => ask::answered(context, key, order, answered),
        Body::Error { message, open } => message::error(context, key, order, message, *open),
        Body::Stop {
            reason,
            message,
            open,
        } => message::stop(context, key, order, (reason, message.as_deref()), *open),
    }
}
