//! The event connection is cut fifty times at random points of a turn on the real OpenCode. The thread
//! reconnects, reads what it missed, and ends with OpenCode's own history (decision 9).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use async_trait::async_trait;
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, SessionId, SessionStatus, View};
use open_cowork_opencode::{Client, ClientConfig, OpenCodeRuntime};
use open_cowork_projection::sanitize::{Redactor, sanitize_event};
use open_cowork_providers::memory::MemoryStore;
use open_cowork_providers::store::{NewSession, SessionKey};
use open_cowork_runtime_host::host::{HostOptions, LinkState, RuntimeHost};
use open_cowork_runtime_host::sink::{SinkError, ThreadSink};
use open_cowork_runtime_host::thread::TurnPrompt;
use open_cowork_runtime_host::translate::Alarm;
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::RealOpenCode;
use open_cowork_testkit::workspace::GitWorkspace;
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions, Update};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Cuts that the proxy makes before it lets the stream be.
const CUTS: u32 = 50;

struct LogSink(ThreadLog);

fn key(thread: &SessionId) -> SessionKey {
    SessionKey::new("t", thread.clone())
}

#[async_trait]
impl ThreadSink for LogSink {
    async fn append(&self, thread: &SessionId, events: Vec<RuntimeEvent>) -> Result<(), SinkError> {
        self.0
            .append(&key(thread), events)
            .await
            .map(drop)
            .map_err(|error| SinkError(error.to_string()))
    }

    async fn view(&self, thread: &SessionId) -> Result<(View, u64), SinkError> {
        self.0
            .flush(&key(thread))
            .await
            .map_err(|error| SinkError(error.to_string()))?;
        let read = self
            .0
            .read(&key(thread), |state| (state.view.clone(), state.sequence))
            .await;
        read.map_err(|error| SinkError(error.to_string()))
    }

    fn sanitize(&self, kind: &EventType, payload: JsonObject) -> JsonObject {
        sanitize_event(&Redactor::default(), kind, payload)
    }

    async fn alarm(&self, _: &SessionId, _: &Alarm) {}
}

/// A fixed sequence that looks random: a failing run can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, from: usize, to: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        from + usize::try_from(self.0 >> 33).unwrap() % (to - from)
    }
}

/// Forwards to OpenCode; the first [`CUTS`] connections that carry the event stream end after a random
/// number of its bytes. A connection may carry other calls before.
async fn cutting_proxy(target: SocketAddr, cuts: Arc<AtomicU32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut dice = Dice(20_261_120);
        while let Ok((near, _)) = listener.accept().await {
            let limit = dice.roll(300, 7_000);
            let cuts = cuts.clone();
            tokio::spawn(async move {
                let far = TcpStream::connect(target).await.unwrap();
                let (mut near_read, mut near_write) = near.into_split();
                let (mut far_read, mut far_write) = far.into_split();
                let streaming = Arc::new(AtomicBool::new(false));
                let requests = tokio::spawn({
                    let streaming = streaming.clone();
                    async move {
                        let mut buffer = vec![0; 64 * 1024];
                        loop {
                            let read = near_read.read(&mut buffer).await.unwrap_or(0);
                            if read == 0 {
                                return;
                            }
                            if buffer[..read].starts_with(b"GET /global/event") {
                                streaming.store(true, Ordering::SeqCst);
                            }
                            if far_write.write_all(&buffer[..read]).await.is_err() {
                                return;
                            }
                        }
                    }
                });
                let mut left = limit;
                let mut buffer = vec![0; 1024];
                loop {
                    let read = far_read.read(&mut buffer).await.unwrap_or(0);
                    let mut now = read;
                    let cut =
                        streaming.load(Ordering::SeqCst) && cuts.load(Ordering::SeqCst) < CUTS;
                    if cut {
                        now = read.min(left);
                        left -= now;
                    }
                    if read == 0 || near_write.write_all(&buffer[..now]).await.is_err() {
                        break;
                    }
                    if cut && left == 0 {
                        cuts.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                }
                requests.abort();
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_fifty_cuts_of_the_event_connection_lose_and_double_nothing() {
    let model = ScriptedModel::start().await.unwrap();
    let server = RealOpenCode::start(&model.base_url()).await.unwrap();
    let folder = GitWorkspace::new().unwrap();
    let target: SocketAddr = server
        .base_url()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    let cuts = Arc::new(AtomicU32::new(0));
    let proxy = cutting_proxy(target, cuts.clone()).await;
    let password = server.password().to_owned();
    let client = Client::new(ClientConfig::new(
        format!("http://{proxy}"),
        password.into(),
    ))
    .unwrap();
    let runtime: Arc<dyn OpenCodeRuntime> = Arc::new(client);

    let log = ThreadLog::new(
        Arc::new(MemoryStore::default()),
        ThreadLogOptions::default(),
    );
    let thread = SessionId::from("s1");
    let new = NewSession {
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: thread.clone(),
        ..NewSession::default()
    };
    log.create_session(new).await.unwrap();
    let host = RuntimeHost::new(Arc::new(LogSink(log.clone())), HostOptions::default());
    host.attach(runtime.clone());
    let root = host.open(&thread, None, &folder.path()).await.unwrap();
    let mut link = host.link();
    link.wait_for(|link| *link == LinkState::Online)
        .await
        .unwrap();

    let text =
        r#"{"repeat":{"unit":"0123456789 ","count":400},"chunk_chars":11,"chunk_delay_ms":12"#;
    let glob = r#""tool_calls":[{"name":"glob","arguments":{"pattern":"*.md"}}]"#;
    let todo = r#"{"tool_calls":[{"name":"todowrite","arguments":{"todos":[{"content":"One","status":"completed","priority":"high"}]}}]}"#;
    let task = r#"{"tool_calls":[{"name":"task","arguments":{"description":"Look","prompt":"Look. [[script:hello]]","subagent_type":"general"}}]}"#;
    let steps = format!("[[steps:[{text},{glob}}},{todo},{text},{glob}}},{task},{text}}}]]]");
    let mut turns = 0;
    while cuts.load(Ordering::SeqCst) < CUTS {
        turns += 1;
        assert!(
            turns < 12,
            "the proxy cuts {} times in {turns} turns",
            cuts.load(Ordering::SeqCst)
        );
        let after = log
            .read(&key(&thread), |state| state.sequence)
            .await
            .unwrap();
        let mut updates = log.subscribe(&key(&thread), after).await.unwrap();
        let prompt = TurnPrompt {
            command: format!("{:012x}prompt{turns:08}", now_prefix()).into(),
            text: format!("go {steps}"),
            agent: None,
            model: None,
            maybe_sent: false,
            attempt: 1,
        };
        host.prompt(&thread, prompt).await.unwrap();
        let ended = tokio::time::timeout(support::PATIENCE, async {
            use futures::StreamExt as _;
            while let Some(update) = updates.next().await {
                if let Update::Event(record) = update
                    && support::is_ending(&record)
                {
                    return record.kind.clone();
                }
            }
            panic!("the log ended");
        })
        .await
        .unwrap();
        assert_eq!(ended, EventType::SessionIdle, "turn {turns}");
        let view = log
            .read(&key(&thread), |state| state.view.clone())
            .await
            .unwrap();
        assert_eq!(view.status, SessionStatus::Idle);
        let direct = Client::new(ClientConfig::new(
            server.base_url(),
            server.password().to_owned().into(),
        ))
        .unwrap();
        let expected =
            support::history_of(&direct, root.as_str(), &folder.path().to_string_lossy()).await;
        assert_eq!(
            support::essence_of(&view),
            expected,
            "after {} cuts",
            cuts.load(Ordering::SeqCst)
        );
        let status = log.status(&key(&thread)).await.unwrap();
        assert_eq!(
            status.event_count, status.latest_event_sequence,
            "no gap, no duplicate"
        );
        log.repair(&key(&thread)).await.unwrap();
        let folded = log
            .read(&key(&thread), |state| state.view.clone())
            .await
            .unwrap();
        assert_eq!(folded, view, "the view is the fold of the log");
    }
    eprintln!("{} cuts in {turns} turns", cuts.load(Ordering::SeqCst));
}

/// OpenCode's ids begin with the time (08 §2).
fn now_prefix() -> u64 {
    let ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    (u64::try_from(ms).unwrap() << 12) & 0xffff_ffff_ffff
}
