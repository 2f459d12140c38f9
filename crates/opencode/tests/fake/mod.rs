//! A server that answers what a test says, on loopback, and the client of it.

use axum::Router;
use open_cowork_opencode::{Client, ClientConfig, Limits, Timeouts};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

pub(crate) const PASSWORD: &str = "correct horse";

/// A running server; dropping it closes the port.
pub(crate) struct Fake {
    pub(crate) base_url: String,
    _task: AbortOnDropHandle<()>,
}

pub(crate) async fn serve(router: Router) -> Fake {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Fake {
        base_url,
        _task: AbortOnDropHandle::new(task),
    }
}

impl Fake {
    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.base_url, PASSWORD.to_owned().into())
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// A client that loses patience quickly.
    #[allow(dead_code, reason = "each test program uses its own part of the fake")]
    pub(crate) fn impatient(&self) -> Client {
        let soon = Duration::from_secs(1);
        let timeouts = Timeouts {
            call: soon,
            history: soon,
            prompt: soon,
            connect: soon,
            heartbeat: soon,
        };
        Client::new(ClientConfig {
            timeouts,
            ..self.config()
        })
        .unwrap()
    }

    #[allow(dead_code, reason = "each test program uses its own part of the fake")]
    pub(crate) fn limited(&self, change: impl FnOnce(&mut Limits)) -> Client {
        let mut config = self.config();
        change(&mut config.limits);
        Client::new(config).unwrap()
    }
}
