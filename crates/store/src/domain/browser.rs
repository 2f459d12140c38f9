use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::BrowserStore;

#[async_trait]
impl<D: Database> BrowserStore for SqlStore<D> {}
