//! Example Cowork's cloud: Open Cowork's, with our configuration and an auditor who hears of every durable event.
//!
//! `cargo run -p open-cowork-downstream-example --bin example-cowork-cloud -- --config examples/downstream/open-cowork.config.json`

use open_cowork_cloud::{Adapters, Distribution, Settings};
use open_cowork_downstream_example::audit::AuditedStore;
use open_cowork_downstream_example::audit_file::FileAuditor;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let ours = Distribution::new("example-cowork-cloud", env!("CARGO_PKG_VERSION"));
    open_cowork_cloud::main(&ours.adapters(adapters))
}

fn adapters(settings: &Settings) -> Result<Adapters, Box<dyn Error + Send + Sync>> {
    let auditor = Arc::new(FileAuditor::open(&settings.root.join("audit.jsonl"))?);
    Ok(Adapters {
        log: Some(Arc::new(move |store| {
            Arc::new(AuditedStore::new(store, auditor.clone()))
        })),
        ..Adapters::default()
    })
}
