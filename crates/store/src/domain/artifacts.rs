use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::ArtifactStore;

#[async_trait]
impl<D: Database> ArtifactStore for SqlStore<D> {}
