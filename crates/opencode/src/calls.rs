//! The classic routes (docs/contract/08-opencode.md §6, §13).

use crate::answer::{
    AgentInfo, Capabilities, Health, MessagePage, ModelInfo, ProviderInfo, UsableProviders,
};
use crate::client::Client;
use crate::directory::Directory;
use crate::error::Error;
use crate::http::{Answer, segment};
use crate::model::{MessageWithParts, PermissionRequest, QuestionRequest, SessionInfo, StatusInfo};
use crate::request::{NewSession, Prompt, Reply};
use crate::runtime::OpenCodeRuntime;
use crate::stream::StreamItem;
use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Sessions that a listing asks for: OpenCode's own default is 100, of all directories of a project (§4.2).
const LISTED_SESSIONS: &str = "1000";

/// Header of the cursor of the next older page (§4.4).
const NEXT_CURSOR: &str = "x-next-cursor";

#[async_trait]
impl OpenCodeRuntime for Client {
    async fn health(&self) -> Result<Health, Error> {
        self.get("/global/health").send().await?.decode()
    }

    async fn rejects_unauthenticated(&self) -> Result<bool, Error> {
        match self.get("/global/health").unauthorized().send().await {
            Err(Error::Unauthorized { .. }) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn capabilities(&self) -> Result<Capabilities, Error> {
        #[derive(Deserialize)]
        struct Document {
            paths: BTreeMap<String, BTreeMap<String, serde::de::IgnoredAny>>,
            #[serde(default)]
            components: Components,
        }
        #[derive(Default, Deserialize)]
        struct Components {
            #[serde(default)]
            schemas: BTreeMap<String, Schema>,
        }
        #[derive(Deserialize)]
        struct Schema {
            #[serde(default)]
            properties: Properties,
        }
        /// An event's schema names its one kind in the property `type`.
        #[derive(Default, Deserialize)]
        struct Properties {
            #[serde(rename = "type", default)]
            kind: Value,
        }
        let answer = self
            .get("/doc")
            .limit(self.shared.limits.history)
            // OpenCode makes the whole document at its first call, slowly on a busy machine.
            .deadline(self.shared.timeouts.history)
            .send()
            .await?;
        let document: Document = answer.decode()?;
        let routes = document.paths.into_iter().flat_map(|(path, methods)| {
            methods
                .into_keys()
                .map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
                .collect::<Vec<_>>()
        });
        let kinds = document
            .components
            .schemas
            .into_values()
            .flat_map(|schema| {
                let named = schema
                    .properties
                    .kind
                    .get("enum")
                    .and_then(Value::as_array)
                    .cloned();
                named
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|kind| match kind {
                        Value::String(kind) if kind.contains('.') => Some(kind),
                        _ => None,
                    })
            });
        Ok(Capabilities {
            event_kinds: kinds.collect(),
            routes: routes.collect(),
        })
    }

    async fn create_session(
        &self,
        directory: &Directory,
        new: NewSession,
    ) -> Result<SessionInfo, Error> {
        let call = self.post("/session").directory(directory);
        let body = serde_json::to_value(&new).map_err(|error| Error::BadRequest {
            route: call.route(),
            reason: error.to_string(),
        })?;
        call.json(body).send().await?.decode()
    }

    async fn session(&self, session: &str) -> Result<SessionInfo, Error> {
        // A session may carry the diffs of an undo.
        let call = self
            .get(session_path(session, "")?)
            .limit(self.shared.limits.history);
        call.send().await?.decode()
    }

    async fn sessions(&self, directory: &Directory) -> Result<Vec<SessionInfo>, Error> {
        let call = self
            .get("/session")
            .directory(directory)
            .query("limit", LISTED_SESSIONS);
        let answer = call.limit(self.shared.limits.history).send().await?;
        let mut sessions: Vec<SessionInfo> = answer.decode()?;
        sessions.retain(|session| session.directory.as_deref() == Some(directory.as_str()));
        Ok(sessions)
    }

    async fn rename_session(&self, session: &str, title: &str) -> Result<SessionInfo, Error> {
        self.patch(session_path(session, "")?)
            .json(json!({ "title": title }))
            .send()
            .await?
            .decode()
    }

    async fn delete_session(&self, session: &str) -> Result<(), Error> {
        self.delete(session_path(session, "")?)
            .send()
            .await?
            .expect_true()
    }

    async fn status(&self, directory: &Directory) -> Result<BTreeMap<String, StatusInfo>, Error> {
        self.get("/session/status")
            .directory(directory)
            .send()
            .await?
            .decode()
    }

    async fn children(&self, session: &str) -> Result<Vec<SessionInfo>, Error> {
        let call = self
            .get(session_path(session, "/children")?)
            .limit(self.shared.limits.history);
        call.send().await?.decode()
    }

    async fn todos(&self, session: &str) -> Result<Vec<Value>, Error> {
        self.get(session_path(session, "/todo")?)
            .send()
            .await?
            .decode()
    }

    async fn messages(&self, session: &str) -> Result<Vec<MessageWithParts>, Error> {
        let mut pages = VecDeque::new();
        let mut seen = HashSet::new();
        let mut bytes = 0;
        let mut limit = self.shared.limits.page;
        let mut before: Option<String> = None;
        loop {
            let (page, size) = match self.read_page(session, limit, before.as_deref()).await {
                // A few messages with large attachments: the same place again with a smaller page.
                Err(Error::AnswerTooLarge { .. }) if limit > 1 => {
                    limit = (limit / 8).max(1);
                    continue;
                }
                other => other?,
            };
            bytes += size;
            if bytes > self.shared.limits.history_total {
                let route = format!("GET {}", session_path(session, "/message")?);
                return Err(Error::AnswerTooLarge {
                    route,
                    limit: self.shared.limits.history_total,
                });
            }
            let done = page.messages.is_empty();
            pages.push_front(page.messages);
            let Some(cursor) = page.before.filter(|_| !done) else {
                break;
            };
            if !seen.insert(cursor.clone()) {
                let route = format!("GET {}", session_path(session, "/message")?);
                return Err(Error::BadAnswer {
                    route,
                    reason: "a cursor of the history repeats".into(),
                });
            }
            before = Some(cursor);
        }
        Ok(pages.into_iter().flatten().collect())
    }

    async fn messages_page(
        &self,
        session: &str,
        limit: usize,
        before: Option<&str>,
    ) -> Result<MessagePage, Error> {
        Ok(self.read_page(session, limit, before).await?.0)
    }

    async fn message(
        &self,
        session: &str,
        message: &str,
    ) -> Result<Option<MessageWithParts>, Error> {
        let path = session_path(session, "/message")?;
        let message = match segment(&format!("GET {path}/{message}"), "msg", message) {
            Ok(message) => message,
            Err(_) => return Ok(None),
        };
        let call = self.get(format!("{path}/{message}"));
        match call
            .limit(self.shared.limits.history)
            .deadline(self.shared.timeouts.history)
            .send()
            .await
        {
            Ok(answer) => answer.decode().map(Some),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn prompt_async(&self, session: &str, prompt: Prompt) -> Result<(), Error> {
        let call = self
            .post(session_path(session, "/prompt_async")?)
            .deadline(self.shared.timeouts.prompt);
        if !prompt.message_id.starts_with("msg") {
            return Err(Error::BadRequest {
                route: call.route(),
                reason: "a message id must start with msg".into(),
            });
        }
        call.json(prompt_body(prompt))
            .send()
            .await?
            .expect_no_content()
    }

    async fn abort(&self, session: &str) -> Result<(), Error> {
        self.post(session_path(session, "/abort")?)
            .send()
            .await?
            .expect_true()
    }

    async fn permissions(&self, directory: &Directory) -> Result<Vec<PermissionRequest>, Error> {
        self.get("/permission")
            .directory(directory)
            .limit(self.shared.limits.history)
            .send()
            .await?
            .decode()
    }

    async fn reply_permission(
        &self,
        directory: &Directory,
        permission: &str,
        reply: Reply,
    ) -> Result<(), Error> {
        let permission = segment("POST /permission/{id}/reply", "per", permission)?;
        let body = match reply {
            Reply::Once => json!({ "reply": "once" }),
            Reply::Reject { message: None } => json!({ "reply": "reject" }),
            Reply::Reject {
                message: Some(message),
            } => json!({ "reply": "reject", "message": message }),
        };
        let call = self
            .post(format!("/permission/{permission}/reply"))
            .directory(directory);
        call.json(body).send().await?.expect_true()
    }

    async fn questions(&self, directory: &Directory) -> Result<Vec<QuestionRequest>, Error> {
        self.get("/question")
            .directory(directory)
            .limit(self.shared.limits.history)
            .send()
            .await?
            .decode()
    }

    async fn reply_question(
        &self,
        directory: &Directory,
        question: &str,
        answers: Vec<Vec<String>>,
    ) -> Result<(), Error> {
        let question = segment("POST /question/{id}/reply", "que", question)?;
        let call = self
            .post(format!("/question/{question}/reply"))
            .directory(directory);
        call.json(json!({ "answers": answers }))
            .send()
            .await?
            .expect_true()
    }

    async fn reject_question(&self, directory: &Directory, question: &str) -> Result<(), Error> {
        let question = segment("POST /question/{id}/reject", "que", question)?;
        self.post(format!("/question/{question}/reject"))
            .directory(directory)
            .send()
            .await?
            .expect_true()
    }

    async fn agents(&self, directory: &Directory) -> Result<Vec<AgentInfo>, Error> {
        self.get("/agent")
            .directory(directory)
            .limit(self.shared.limits.history)
            .send()
            .await?
            .decode()
    }

    async fn providers(&self, directory: &Directory) -> Result<UsableProviders, Error> {
        let call = self
            .get("/config/providers")
            .directory(directory)
            .limit(self.shared.limits.history);
        usable_providers(&call.send().await?)
    }

    fn events(&self) -> BoxStream<'static, StreamItem> {
        self.global_events().boxed()
    }
}

impl Client {
    /// A page and the size of its body.
    async fn read_page(
        &self,
        session: &str,
        limit: usize,
        before: Option<&str>,
    ) -> Result<(MessagePage, usize), Error> {
        let mut call = self
            .get(session_path(session, "/message")?)
            .query("limit", &limit.max(1).to_string())
            .limit(self.shared.limits.history)
            .deadline(self.shared.timeouts.history);
        if let Some(before) = before {
            call = call.query("before", before);
        }
        let answer = call.send().await?;
        let before = answer
            .headers
            .get(NEXT_CURSOR)
            .and_then(|cursor| cursor.to_str().ok())
            .map(str::to_owned);
        Ok((
            MessagePage {
                messages: answer.decode()?,
                before,
            },
            answer.body.len(),
        ))
    }
}

/// `/session/{id}` and what follows.
fn session_path(session: &str, rest: &str) -> Result<String, Error> {
    let session = segment("/session/{id}", "ses", session)?;
    Ok(format!("/session/{session}{rest}"))
}

fn prompt_body(prompt: Prompt) -> Value {
    let mut body = Map::new();
    let parts: Vec<Value> = prompt
        .texts
        .into_iter()
        .map(|text| json!({ "type": "text", "text": text }))
        .collect();
    body.insert("messageID".into(), prompt.message_id.into());
    body.insert("parts".into(), parts.into());
    if let Some(agent) = prompt.agent {
        body.insert("agent".into(), agent.into());
    }
    if let Some(model) = prompt.model {
        body.insert(
            "model".into(),
            json!({ "providerID": model.provider, "modelID": model.model }),
        );
    }
    if let Some(system) = prompt.system {
        body.insert("system".into(), system.into());
    }
    body.into()
}

/// Reads ids and names only; everything else of the body, the keys among it, is skipped while parsing (§3.3).
fn usable_providers(answer: &Answer) -> Result<UsableProviders, Error> {
    #[derive(Deserialize)]
    struct Catalogue {
        providers: Vec<Provider>,
        #[serde(default)]
        default: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    struct Provider {
        id: String,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        models: BTreeMap<String, Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        #[serde(default)]
        name: Option<String>,
    }
    let catalogue: Catalogue = answer.decode()?;
    let providers = catalogue
        .providers
        .into_iter()
        .map(|provider| ProviderInfo {
            id: provider.id,
            name: provider.name,
            models: provider
                .models
                .into_iter()
                .map(|(id, model)| ModelInfo {
                    id,
                    name: model.name,
                })
                .collect(),
        });
    Ok(UsableProviders {
        providers: providers.collect(),
        default: catalogue.default,
    })
}
