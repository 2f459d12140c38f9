//! Sessions, project sources, import (03 §8.2 to §8.4).

use crate::client::CloudClient;
use crate::error::Error;
use crate::follow::Follow;
use open_cowork_contracts::SessionId;
use open_cowork_contracts::api::import::ImportSession;
use open_cowork_contracts::api::project_sources::{
    ProjectSourceInput, ProjectSourceVerdict, Snapshot, UploadSnapshot,
};
use open_cowork_contracts::api::sessions::{
    AbortRequest, CreateSession, Mutation, PermissionRespond, ProjectionRepair, ProjectionStatus,
    PromptRequest, QuestionReject, QuestionReply, SessionEnvelope, SessionViewAnswer, SessionsPage,
    SessionsQuery,
};
use reqwest::Method;
use serde_json::json;

/// Methods of sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionsRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Sessions.
    pub fn sessions(&self) -> SessionsRoutes<'_> {
        SessionsRoutes(self)
    }
}

impl SessionsRoutes<'_> {
    /// One page of sessions, newest first.
    pub async fn list(&self, query: &SessionsQuery) -> Result<SessionsPage, Error> {
        self.0
            .api(Method::GET, &["sessions"])
            .query(query)
            .send()
            .await
    }

    /// Starts a session.
    pub async fn create(&self, body: &CreateSession) -> Result<SessionEnvelope, Error> {
        self.0
            .api(Method::POST, &["sessions"])
            .json(body)
            .send()
            .await
    }

    /// A session and its view.
    pub async fn get(&self, session: &SessionId) -> Result<SessionEnvelope, Error> {
        let path = ["sessions", session.as_str()];
        self.0.api(Method::GET, &path).send().await
    }

    /// The same; upstream's clients call it when a session is opened.
    pub async fn activate(&self, session: &SessionId) -> Result<SessionEnvelope, Error> {
        let path = ["sessions", session.as_str(), "activate"];
        self.0
            .api(Method::POST, &path)
            .json(&json!({}))
            .send()
            .await
    }

    /// A session and its view in the shape that renderers read.
    pub async fn view(&self, session: &SessionId) -> Result<SessionViewAnswer, Error> {
        let path = ["sessions", session.as_str(), "view"];
        self.0.api(Method::GET, &path).send().await
    }

    /// Sends a prompt.
    pub async fn prompt(
        &self,
        session: &SessionId,
        body: &PromptRequest,
    ) -> Result<Mutation, Error> {
        let path = ["sessions", session.as_str(), "prompt"];
        self.0.api(Method::POST, &path).json(body).send().await
    }

    /// Stops the turn.
    pub async fn abort(&self, session: &SessionId) -> Result<Mutation, Error> {
        let path = ["sessions", session.as_str(), "abort"];
        let body = AbortRequest::default();
        self.0.api(Method::POST, &path).json(&body).send().await
    }

    /// Answers a question.
    pub async fn question_reply(
        &self,
        session: &SessionId,
        body: &QuestionReply,
    ) -> Result<Mutation, Error> {
        let path = ["sessions", session.as_str(), "question-reply"];
        self.0.api(Method::POST, &path).json(body).send().await
    }

    /// Dismisses a question.
    pub async fn question_reject(
        &self,
        session: &SessionId,
        body: &QuestionReject,
    ) -> Result<Mutation, Error> {
        let path = ["sessions", session.as_str(), "question-reject"];
        self.0.api(Method::POST, &path).json(body).send().await
    }

    /// Answers an approval.
    pub async fn permission_respond(
        &self,
        session: &SessionId,
        body: &PermissionRespond,
    ) -> Result<Mutation, Error> {
        let path = ["sessions", session.as_str(), "permission-respond"];
        self.0.api(Method::POST, &path).json(body).send().await
    }

    /// How far the projection is behind its log (operators).
    pub async fn projection_status(&self, session: &SessionId) -> Result<ProjectionStatus, Error> {
        let path = ["sessions", session.as_str(), "projection-status"];
        self.0.api(Method::GET, &path).send().await
    }

    /// Folds the projection anew (operators).
    pub async fn projection_repair(&self, session: &SessionId) -> Result<ProjectionRepair, Error> {
        let path = ["sessions", session.as_str(), "projection-repair"];
        self.0
            .api(Method::POST, &path)
            .json(&json!({}))
            .send()
            .await
    }

    /// Copies a local thread into the cloud.
    pub async fn import(&self, body: &ImportSession) -> Result<SessionEnvelope, Error> {
        let call = self.0.api(Method::POST, &["import", "sessions"]);
        call.json(body).carries_files().send().await
    }

    /// Whether a project source may be used.
    pub async fn validate_project_source(
        &self,
        source: &ProjectSourceInput,
    ) -> Result<ProjectSourceVerdict, Error> {
        let call = self.0.api(Method::POST, &["project-sources", "validate"]);
        call.json(&json!({ "projectSource": source }))
            .only_reads()
            .send()
            .await
    }

    /// Uploads the files that a session is to work on.
    pub async fn upload_project_snapshot(&self, body: &UploadSnapshot) -> Result<Snapshot, Error> {
        let call = self.0.api(Method::POST, &["project-sources", "snapshots"]);
        call.json(body).carries_files().send().await
    }

    /// Follows a session from a snapshot.
    pub fn follow(&self, session: &SessionId) -> Follow {
        let snapshot = ["sessions", session.as_str()];
        Follow::from_snapshot(self.0, &snapshot, &["sessions", session.as_str(), "events"])
    }

    /// Follows a session after a sequence that the caller has already; 0 gives every event.
    pub fn follow_after(&self, session: &SessionId, cursor: u64) -> Follow {
        let snapshot = ["sessions", session.as_str()];
        Follow::after(
            self.0,
            &snapshot,
            &["sessions", session.as_str(), "events"],
            cursor,
        )
    }
}
