use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::ThreadIndexStore;

#[async_trait]
impl<D: Database> ThreadIndexStore for SqlStore<D> {}
