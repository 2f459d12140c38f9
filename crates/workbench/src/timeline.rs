//! One sorted list of what happened in a thread: messages, tool calls, sub-agents, asks, questions and errors,
//! merged by `order`, the sequence of the event that made each (01 §4).

use crate::workspace::ThreadState;
use open_cowork_contracts::view::{
    Message, PendingApproval, PendingQuestion, ResolvedApproval, ResolvedQuestion, Role, TaskRun,
    ToolCall, ToolStatus, TurnStop, ViewError,
};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// One line, card or lane, borrowed from the view.
pub(crate) struct Entry<'a> {
    /// Its element id on the page.
    pub(crate) key: String,
    /// Its place.
    pub(crate) order: f64,
    pub(crate) source: Source<'a>,
}

/// Where an entry comes from.
#[derive(Clone)]
pub(crate) enum Source<'a> {
    Message(&'a Message),
    /// One call, or consecutive reads that fold into one line.
    Calls {
        calls: Vec<&'a ToolCall>,
        waiting: Waiting<'a>,
    },
    Task {
        run: &'a TaskRun,
        waiting: Waiting<'a>,
    },
    Ask {
        ask: &'a PendingApproval,
        asker: Option<&'a str>,
        /// Folder of the chat, where commands run.
        folder: &'a str,
    },
    Asked(&'a ResolvedApproval),
    Question(&'a PendingQuestion),
    Answered(&'a ResolvedQuestion),
    /// `open`: nothing went on after it, so the page offers the way out.
    Error {
        error: &'a ViewError,
        open: bool,
    },
    /// A turn that was stopped or cut short. `open`: nothing went on after it.
    Stop {
        stop: &'a TurnStop,
        open: bool,
    },
}

/// Ids of the calls that wait for an answer: they don't run yet, whatever the runtime's word for it.
pub(crate) type Waiting<'a> = Vec<&'a str>;

/// One line, card or lane, owned, so that it is rendered after the log was released.
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) order: f64,
    pub(crate) body: Body,
}

/// The owned counterpart of [`Source`].
pub(crate) enum Body {
    Prompt {
        text: String,
        at: String,
        attachments: Vec<String>,
    },
    /// `text` starts at `skip` bytes of the message.
    Answer {
        text: String,
        skip: usize,
    },
    Calls {
        calls: Vec<ToolCall>,
        waiting: Vec<String>,
    },
    Task {
        run: Box<TaskRun>,
        waiting: Vec<String>,
    },
    Ask {
        ask: Box<PendingApproval>,
        asker: Option<String>,
        folder: String,
    },
    Asked(Box<ResolvedApproval>),
    Question(Box<PendingQuestion>),
    Answered(Box<ResolvedQuestion>),
    Error {
        message: String,
        open: bool,
    },
    Stop {
        reason: String,
        message: Option<String>,
        open: bool,
    },
}

/// Asks, and as many questions, that a page offers at a time: the oldest, and the next as soon as one is answered.
pub(crate) const WAITING: usize = 30;

/// The newest `limit` entries below `before` and what waits, oldest first, and whether there are earlier ones.
pub(crate) fn entries<'a>(
    state: &ThreadState<'a>,
    before: Option<f64>,
    limit: usize,
) -> (Vec<Entry<'a>>, bool) {
    let view = state.view;
    let below = |order: f64| before.is_none_or(|before| order < before);
    let asked_for: Vec<&str> = view
        .pending_approvals
        .iter()
        .filter_map(|ask| ask.tool_call_id.as_deref())
        .collect();
    let waits = |call: &ToolCall| {
        call.status == ToolStatus::Running && asked_for.contains(&call.id.as_str())
    };
    let mut found: Vec<Entry<'a>> = Vec::new();
    let mut collect = |entry: Entry<'a>| found.push(entry);

    // Each list is in order of arrival, so the newest of each are enough (one more shows whether there are others).
    let most = limit.saturating_add(1);
    view.messages
        .iter()
        .rev()
        .filter(|m| below(message_order(m)) && is_shown(m))
        .take(most)
        .for_each(|m| {
            collect(Entry {
                key: format!("m-{}", m.id),
                order: message_order(m),
                source: Source::Message(m),
            })
        });
    // Folded reads make one entry out of many, so more calls may be needed than entries.
    view.tool_calls
        .iter()
        .rev()
        .filter(|c| below(c.order.0) && !is_stood_for(c, &view.task_runs))
        .take(most.saturating_mul(4))
        .for_each(|c| {
            collect(Entry {
                key: format!("t-{}", c.id),
                order: c.order.0,
                source: Source::Calls {
                    calls: vec![c],
                    waiting: waits(c).then_some(c.id.as_str()).into_iter().collect(),
                },
            })
        });
    view.task_runs
        .iter()
        .rev()
        .filter(|t| below(t.order.0))
        .take(most)
        .for_each(|t| {
            collect(Entry {
                key: format!("k-{}", t.id),
                order: t.order.0,
                source: Source::Task {
                    run: t,
                    waiting: t
                        .tool_calls
                        .iter()
                        .filter(|call| waits(call))
                        .map(|call| call.id.as_str())
                        .collect(),
                },
            })
        });
    view.pending_approvals
        .iter()
        .filter(|a| below(a.order.0))
        .take(WAITING)
        .for_each(|ask| {
            let asker = ask.task_run_id.as_ref().map(|id| {
                view.task_runs
                    .iter()
                    .find(|t| t.id == *id)
                    .map_or("a sub-agent", |t| t.title.as_str())
            });
            collect(Entry {
                key: format!("a-{}", ask.id),
                order: ask.order.0,
                source: Source::Ask {
                    ask,
                    asker,
                    folder: state.directory,
                },
            });
        });
    view.resolved_approvals
        .iter()
        .rev()
        // An id that is asked again waits again.
        .filter(|a| below(a.order.0) && !view.pending_approvals.iter().any(|ask| ask.id == a.id))
        .take(most)
        .for_each(|a| {
            collect(Entry {
                key: format!("a-{}", a.id),
                order: a.order.0,
                source: Source::Asked(a),
            })
        });
    view.pending_questions
        .iter()
        .filter(|q| below(question_order(q)))
        .take(WAITING)
        .for_each(|q| {
            collect(Entry {
                key: format!("q-{}", q.id),
                order: question_order(q),
                source: Source::Question(q),
            });
        });
    view.resolved_questions
        .iter()
        .rev()
        .filter(|q| below(q.order.0) && !view.pending_questions.iter().any(|ask| ask.id == q.id))
        .take(most)
        .for_each(|q| {
            collect(Entry {
                key: format!("q-{}", q.id),
                order: q.order.0,
                source: Source::Answered(q),
            })
        });
    let open_error = view
        .last_error
        .is_some()
        .then(|| view.errors.last())
        .flatten();
    view.errors
        .iter()
        .rev()
        .filter(|e| below(e.order.0))
        .take(most)
        .for_each(|error| {
            let open = open_error.is_some_and(|last| std::ptr::eq(last, error));
            collect(Entry {
                key: format!("e-{}", error.id),
                order: error.order.0,
                source: Source::Error { error, open },
            });
        });
    let newest_prompt = view.messages.iter().rev().find(|m| m.role == Role::User);
    let newest_prompt = newest_prompt.map_or(0.0, message_order);
    view.stops
        .iter()
        .rev()
        .filter(|stop| below(stop.order.0))
        .take(most)
        .for_each(|stop| {
            collect(Entry {
                key: format!("s-{}", stop.order.0),
                order: stop.order.0,
                source: Source::Stop {
                    stop,
                    open: !view.is_generating && stop.order.0 > newest_prompt,
                },
            });
        });

    found.sort_by(|a, b| a.order.total_cmp(&b.order).then_with(|| a.key.cmp(&b.key)));
    let mut folded = fold_reads(found);
    // What waits stays on the page, however much followed it.
    let stays = |entry: &Entry<'_>| before.is_none() && entry.waits();
    let counted = folded.iter().filter(|entry| !stays(entry)).count();
    let mut surplus = counted.saturating_sub(limit);
    let earlier = surplus > 0;
    folded.retain(|entry| {
        let leaves = surplus > 0 && !stays(entry);
        surplus -= usize::from(leaves);
        !leaves
    });
    (folded, earlier)
}

/// Order of the oldest entry of a page, apart from what stays because it waits: earlier pages end before it.
pub(crate) fn oldest(entries: &[Entry<'_>]) -> Option<f64> {
    entries
        .iter()
        .find(|entry| !entry.waits())
        .or(entries.first())
        .map(|entry| entry.order)
}

/// Consecutive reads become one entry under the first one's key.
fn fold_reads(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    let mut out: Vec<Entry<'_>> = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Source::Calls {
            calls: more,
            waiting: also,
        } = &entry.source
            && let Some(Entry {
                source: Source::Calls { calls, waiting },
                ..
            }) = out.last_mut()
            && calls.iter().chain(more).all(|call| is_read(&call.name))
        {
            calls.extend(more);
            waiting.extend(also);
            continue;
        }
        out.push(entry);
    }
    out
}

/// Tools that only look.
pub(crate) fn is_read(tool: &str) -> bool {
    matches!(tool, "read" | "glob" | "grep" | "list" | "ls")
}

fn is_shown(message: &Message) -> bool {
    let has_attachments = message
        .attachments
        .as_ref()
        .is_some_and(|list| !list.is_empty());
    match message.role {
        Role::User => true,
        Role::Assistant => has_attachments || !message.content.trim().is_empty(),
        Role::System => false,
    }
}

/// The root's `task` call is shown as the sub-agent's lane as soon as there is one, and a question tool as its card.
fn is_stood_for(call: &ToolCall, tasks: &[TaskRun]) -> bool {
    match call.name.as_str() {
        "task" => {
            let description = call.input.get("description").and_then(Value::as_str);
            description.is_some_and(|text| {
                tasks
                    .iter()
                    .rev()
                    .any(|t| t.title == text && t.order.0 >= call.order.0)
            })
        }
        "question" => true,
        _ => false,
    }
}

fn message_order(message: &Message) -> f64 {
    message.order.map_or(0.0, |order| order.0)
}

fn question_order(question: &PendingQuestion) -> f64 {
    // Foreign views may lack it: an open question belongs at the end.
    question.order.map_or(f64::MAX, |order| order.0)
}

impl Entry<'_> {
    /// True when `test` holds for an id behind this entry.
    pub(crate) fn any_id(&self, test: impl Fn(&str) -> bool) -> bool {
        match &self.source {
            Source::Message(m) => test(&m.id),
            Source::Calls { calls, .. } => calls.iter().any(|c| test(&c.id)),
            Source::Task { run, .. } => test(&run.id),
            // The card names its sub-agent.
            Source::Ask { ask, .. } => {
                test(&ask.id) || ask.task_run_id.as_deref().is_some_and(test)
            }
            Source::Asked(a) => test(&a.id),
            Source::Question(q) => test(&q.id),
            Source::Answered(q) => test(&q.id),
            Source::Error { error, .. } => test(&error.id),
            Source::Stop { .. } => false,
        }
    }

    /// It waits for the user: an ask, a question, or what ended the last turn and offers the way on.
    pub(crate) fn waits(&self) -> bool {
        matches!(
            self.source,
            Source::Ask { .. }
                | Source::Question(_)
                | Source::Error { open: true, .. }
                | Source::Stop { open: true, .. }
        )
    }

    /// What besides its ids and order decides how it is shown: members of a fold, which calls wait (one may begin to
    /// in the batch in which another no longer does), an open way out.
    pub(crate) fn shape(&self) -> u64 {
        let mut shape = DefaultHasher::new();
        match &self.source {
            Source::Calls { calls, waiting } => (calls.len(), waiting).hash(&mut shape),
            Source::Task { waiting, .. } => waiting.hash(&mut shape),
            Source::Error { open, .. } | Source::Stop { open, .. } => open.hash(&mut shape),
            _ => {}
        }
        shape.finish()
    }

    /// True when a page may hold another form of it although no event of the first batch named it: reads fold with
    /// their neighbours, a lane stands for its call, an error loses its way out; and an ask that was answered in a
    /// state ahead of the batch must not stay open, nor its call wait.
    pub(crate) fn depends_on_others(&self) -> bool {
        match &self.source {
            Source::Calls { calls, .. } => calls.iter().any(|call| {
                is_read(&call.name) || call.name == "task" || call.status == ToolStatus::Running
            }),
            Source::Task { run, .. } => run
                .tool_calls
                .iter()
                .any(|call| call.status == ToolStatus::Running),
            Source::Message(_) => false,
            _ => true,
        }
    }

    /// An owned copy; of an answer, the text from byte `skip` on (0 when that is no boundary of the text).
    pub(crate) fn to_item(&self, skip: usize) -> Item {
        let body = match &self.source {
            Source::Message(m) if m.role == Role::Assistant => match m.content.get(skip..) {
                Some(text) => Body::Answer {
                    text: text.to_owned(),
                    skip,
                },
                None => Body::Answer {
                    text: m.content.clone(),
                    skip: 0,
                },
            },
            Source::Message(m) => Body::Prompt {
                text: m.content.clone(),
                at: m.created_at.clone(),
                attachments: m
                    .attachments
                    .iter()
                    .flatten()
                    .map(attachment_name)
                    .collect(),
            },
            Source::Calls { calls, waiting } => Body::Calls {
                calls: calls.iter().map(|call| (*call).clone()).collect(),
                waiting: owned(waiting),
            },
            Source::Task { run, waiting } => Body::Task {
                run: Box::new((*run).clone()),
                waiting: owned(waiting),
            },
            Source::Ask { ask, asker, folder } => Body::Ask {
                ask: Box::new((*ask).clone()),
                asker: asker.map(str::to_owned),
                folder: (*folder).to_owned(),
            },
            Source::Asked(a) => Body::Asked(Box::new((*a).clone())),
            Source::Question(q) => Body::Question(Box::new((*q).clone())),
            Source::Answered(q) => Body::Answered(Box::new((*q).clone())),
            Source::Error { error, open } => Body::Error {
                message: error.message.clone(),
                open: *open,
            },
            Source::Stop { stop, open } => Body::Stop {
                reason: stop.reason.clone(),
                message: stop.message.clone(),
                open: *open,
            },
        };
        Item {
            key: self.key.clone(),
            order: self.order,
            body,
        }
    }
}

fn owned(waiting: &[&str]) -> Vec<String> {
    waiting.iter().map(ToString::to_string).collect()
}

fn attachment_name(value: &Value) -> String {
    ["filename", "name", "mime"]
        .iter()
        .find_map(|key| value.get(key).and_then(Value::as_str))
        .unwrap_or("file")
        .to_owned()
}
