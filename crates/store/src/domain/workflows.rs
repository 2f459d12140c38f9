use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::WorkflowStore;

#[async_trait]
impl<D: Database> WorkflowStore for SqlStore<D> {}
