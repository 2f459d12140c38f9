//! Follows a thread of a cloud: what an integrator writes. `docs/client.md` explains it.
//!
//! ```text
//! follow-thread http://127.0.0.1:8787 <session> [token]
//! ```

use open_cowork_cloud_client::{CloudClient, Update};
use open_cowork_contracts::SessionId;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let [url, session, token] = arguments()?;
    let mut client = CloudClient::builder(url);
    if !token.is_empty() {
        client = client.token(token);
    }
    let mut thread = client.build()?.sessions().follow(&SessionId::new(session));
    while let Some(update) = thread.next().await {
        match update? {
            Update::Snapshot(thread) => {
                let view = thread
                    .projection
                    .map(|projection| projection.view)
                    .unwrap_or_default();
                println!("= {} ({} messages)", view.title, view.messages.len());
            }
            Update::Event(event) => println!("{:>6} {}", event.sequence, event.kind),
        }
    }
    Ok(())
}

/// Address, session, and the token or nothing. A token may also come from the environment, where no list of processes
/// shows it.
fn arguments() -> anyhow::Result<[String; 3]> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(session)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!(
            "say which thread: `follow-thread http://127.0.0.1:8787 <session> [token]`; \
             the token can also be in OPEN_COWORK_CLOUD_TOKEN"
        );
    };
    let token = arguments
        .next()
        .or_else(|| std::env::var("OPEN_COWORK_CLOUD_TOKEN").ok());
    Ok([url, session, token.unwrap_or_default()])
}
