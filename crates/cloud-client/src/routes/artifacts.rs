//! Deliverables (03 §8.5).

use crate::call::Answer;
use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::artifacts::{
    Artifact, ArtifactAnswer, ArtifactData, ArtifactIndex, ArtifactList, ArtifactWithData,
    ArtifactsQuery, UpdateArtifactStatus, UploadArtifact,
};
use reqwest::Method;

/// Methods of deliverables.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactsRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Deliverables.
    pub fn artifacts(&self) -> ArtifactsRoutes<'_> {
        ArtifactsRoutes(self)
    }
}

impl ArtifactsRoutes<'_> {
    /// Deliverables of all sessions.
    pub async fn index(&self, query: &ArtifactsQuery) -> Result<ArtifactIndex, Error> {
        let path = ["artifacts"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Deliverables of a session.
    pub async fn list(&self, session: &str) -> Result<Vec<Artifact>, Error> {
        let path = ["sessions", session, "artifacts"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<ArtifactList>().await?.artifacts)
    }

    /// Uploads a deliverable, at most 25 MiB.
    pub async fn upload(&self, session: &str, body: &UploadArtifact) -> Result<Artifact, Error> {
        let path = ["sessions", session, "artifacts"];
        let call = self.0.api(Method::POST, &path).json(body).carries_files();
        Ok(call.send::<ArtifactAnswer>().await?.artifact)
    }

    /// Moves a deliverable towards final.
    pub async fn update_status(
        &self,
        session: &str,
        artifact: &str,
        body: &UpdateArtifactStatus,
    ) -> Result<Artifact, Error> {
        let path = ["sessions", session, "artifacts", artifact, "status"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<ArtifactAnswer>().await?.artifact)
    }

    /// A deliverable with its bytes.
    pub async fn get(&self, session: &str, artifact: &str) -> Result<ArtifactData, Error> {
        let path = ["sessions", session, "artifacts", artifact];
        let call = self.0.api(Method::GET, &path).carries_files();
        Ok(call.send::<ArtifactWithData>().await?.artifact)
    }

    /// The bytes of a deliverable, or the part `range` (such as `bytes=0-99`) of them.
    pub async fn read_content(
        &self,
        session: &str,
        artifact: &str,
        range: Option<&str>,
    ) -> Result<Answer, Error> {
        let path = ["sessions", session, "artifacts", artifact, "content"];
        let call = self.0.api(Method::GET, &path).carries_files();
        match range {
            Some(range) => call.header("range", range).answer().await,
            None => call.answer().await,
        }
    }
}
