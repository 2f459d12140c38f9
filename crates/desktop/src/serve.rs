//! The page, on loopback only.

use crate::engine::Desktop;
use crate::error::DesktopError;
use crate::http;
use crate::prompt::MAX_PROMPT_BYTES;
use open_cowork_workbench::{Access, BasePath, Options, router};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A bound page that isn't served yet.
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
    shutdown: CancellationToken,
}

impl Page {
    /// Binds `127.0.0.1:port` (0: a free one) with a fresh access token and a fresh base path.
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
        // Cookies of 127.0.0.1 go to every port, so ours is bound to a path that no other server can guess.
        options.base = BasePath::random().map_err(|error| taken(error.to_string()))?;
        options.limits.prompt_bytes = MAX_PROMPT_BYTES;
        let shutdown = options.shutdown.clone();
        Ok(Page {
            listener,
            address,
            options,
            shutdown,
        })
    }

    /// The address that opens the page, with its random path and its token. Whoever has it acts as the user, so it
    /// belongs on the terminal and in no log.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.options.entry_path())
    }

    /// Serves until `stop` is done, then ends open streams and waits a moment for the other requests: a client
    /// that never finishes its request doesn't keep the program alive.
    pub async fn serve(self, desktop: &Desktop, stop: impl Future<Output = ()> + Send + 'static) {
        let look = desktop.look();
        let options = Options {
            branding: look.branding.clone(),
            theme: look.theme,
            ..self.options
        };
        let app = router(desktop.workspace(), options);
        let shutdown = self.shutdown;
        let stopped = shutdown.clone();
        tokio::select! {
            () = http::serve(self.listener, app, shutdown) => {}
            () = async {
                stop.await;
                stopped.cancel();
                std::future::pending::<()>().await
            } => {}
        }
    }
}
