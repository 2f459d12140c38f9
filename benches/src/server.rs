//! The cloud program, and the bare route that it is compared with, as child processes.

use crate::desktop::Memory;
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NAME: &str = "open-cowork-cloud-example";
/// For the program to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// Builds the program as it is shipped.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    crate::program::build(NAME, NAME)
}

/// Bytes of the program without symbols and debug information.
pub(crate) fn stripped_size(binary: &Path) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let stripped = folder.path().join("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(binary)
        .status()
        .context("strip can't be started; install binutils")?;
    ensure!(status.success(), "strip failed ({status})");
    Ok(std::fs::metadata(&stripped)?.len())
}

/// A server that ends with this value.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    ready: Duration,
    _root: TempDir,
}

impl Server {
    /// Starts the cloud in an empty folder with its defaults and these settings.
    pub(crate) fn start(binary: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Server> {
        let root = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = Command::new(binary);
        command
            .env("OPEN_COWORK_CLOUD_ROOT", root.path())
            .env("OPEN_COWORK_CLOUD_HOST", "127.0.0.1")
            .env("OPEN_COWORK_CLOUD_PORT", port.to_string())
            // Limits would measure themselves.
            .env("OPEN_COWORK_CLOUD_HTTP_RATE_LIMIT_ENABLED", "false")
            .env("OPEN_COWORK_CLOUD_ABUSE_ENABLED", "false")
            .envs(settings.iter().copied())
            .current_dir(root.path());
        Self::spawn(
            command,
            port,
            root,
            b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        )
    }

    /// Starts a bare route that answers every request with these bytes.
    pub(crate) fn bare(body: &[u8]) -> anyhow::Result<Server> {
        let root = tempfile::tempdir()?;
        let file = root.path().join("body");
        std::fs::File::create(&file)?.write_all(body)?;
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("--bare-route")
            .arg(&file)
            .arg("--bare-port")
            .arg(port.to_string());
        Self::spawn(
            command,
            port,
            root,
            b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        )
    }

    fn spawn(
        mut command: Command,
        port: u16,
        root: TempDir,
        probe: &[u8],
    ) -> anyhow::Result<Server> {
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{command:?} can't be started"))?;
        let mut server = Server {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            ready: Duration::ZERO,
            _root: root,
        };
        loop {
            if answers(server.address, probe) {
                server.ready = started.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended at its start ({status})");
            }
            ensure!(
                started.elapsed() < START_LIMIT,
                "the server isn't ready after {} s",
                START_LIMIT.as_secs()
            );
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From exec to the first good answer.
    pub(crate) fn ready(&self) -> Duration {
        self.ready
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        Ok(Memory::parse(
            &std::fs::read_to_string(&path).with_context(|| format!("{path} can't be read"))?,
        ))
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        let started = Instant::now();
        while started.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server didn't end within {} s", STOP_LIMIT.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already: fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Given back at once; should another program take it, the start fails and says so.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn answers(address: SocketAddr, probe: &[u8]) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(probe)?;
        let mut head = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// Serves the bytes of a file on a port of this machine until the process is ended.
pub(crate) fn serve_bare(file: &Path, port: u16) -> anyhow::Result<()> {
    let body = axum::body::Bytes::from(std::fs::read(file)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let answer = move || async move {
            (
                [(
                    axum::http::header::CONTENT_TYPE,
                    "application/json; charset=utf-8",
                )],
                body,
            )
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        axum::serve(listener, axum::Router::new().fallback(answer)).await?;
        Ok(())
    })
}
