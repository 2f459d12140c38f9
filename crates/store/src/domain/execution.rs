use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::ExecutionStore;

#[async_trait]
impl<D: Database> ExecutionStore for SqlStore<D> {}
