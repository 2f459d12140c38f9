use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::GovernanceStore;

#[async_trait]
impl<D: Database> GovernanceStore for SqlStore<D> {}
