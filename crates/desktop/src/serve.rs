//! The page, on loopback only.

use crate::engine::Desktop;
use crate::error::DesktopError;
use crate::prompt::MAX_PROMPT_BYTES;
use open_cowork_workbench::{Access, Options, router};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Requests that are under way at the end may take that long.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// A bound page that isn't served yet.
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
    shutdown: CancellationToken,
}

impl Page {
    /// Binds `127.0.0.1:port` (0: a free one) with a fresh access token.
    ///
    /// # Errors
    /// [`DesktopError::Port`] when the port is taken.
    pub async fn bind(port: u16) -> Result<Page, DesktopError> {
        let taken = |reason: String| DesktopError::Port { port, reason };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| taken(error.to_string()))?;
        let address = listener
            .local_addr()
            .map_err(|error| taken(error.to_string()))?;
        let access = Access::loopback(address.port()).map_err(|error| taken(error.to_string()))?;
        let mut options = Options::new(access);
        options.limits.prompt_bytes = MAX_PROMPT_BYTES;
        let shutdown = options.shutdown.clone();
        Ok(Page {
            listener,
            address,
            options,
            shutdown,
        })
    }

    /// The address that opens the page, with its token.
    pub fn url(&self) -> String {
        format!(
            "http://{}{}",
            self.address,
            self.options.access.entry_path()
        )
    }

    /// Serves until `stop` is done, then ends open streams and waits a moment for the other requests: a client
    /// that never finishes its request doesn't keep the program alive.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        desktop: &Desktop,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let shutdown = self.shutdown;
        let app = router(desktop.workspace(), self.options);
        let stopped = shutdown.clone();
        let server = axum::serve(self.listener, app).with_graceful_shutdown(async move {
            stop.await;
            shutdown.cancel();
        });
        let too_late = async {
            stopped.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        };
        tokio::select! {
            served = async { server.await } => served,
            () = too_late => Ok(()),
        }
    }
}
