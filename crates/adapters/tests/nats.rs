//! Wake-ups through a real NATS server (04 §9).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use futures::StreamExt as _;
use open_cowork_adapters::nats::{NatsAddress, NatsBus, NatsError, NatsOptions, SubjectPrefix};
use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::conformance::bus::Buses;
use open_cowork_providers::store::SessionKey;
use open_cowork_testkit::nats::Nats;
use secrecy::SecretString;
use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const SUBJECT: &str = "open-cowork.wake-ups";

async fn fresh() -> Buses {
    let server = Nats::start("").await.unwrap();
    let ((one, _), (other, _)) = (bus(&server).await, bus(&server).await);
    Buses::new(one, other, server)
}
open_cowork_providers::bus_conformance!(fresh);

fn options(url: &str) -> NatsOptions {
    NatsOptions::new(NatsAddress::parse(&SecretString::from(url)).unwrap())
}

/// A connected bus, and what comes from others.
async fn bus(server: &Nats) -> (NatsBus, Receiver<Topic>) {
    connected(options(&server.url())).await
}

async fn connected(options: NatsOptions) -> (NatsBus, Receiver<Topic>) {
    let bus = NatsBus::start(options);
    let mut remote = bus.subscribe_remote();
    assert_eq!(next(&mut remote).await, Topic::Everything);
    assert!(bus.is_connected() && bus.trouble().is_none());
    (bus, remote)
}

fn session(id: impl AsRef<str>) -> Topic {
    Topic::Session(SessionKey::new("acme", id.as_ref()))
}

/// Who lags must look at everything.
async fn next(topics: &mut Receiver<Topic>) -> Topic {
    match timeout(LIMIT, topics.recv()).await.unwrap() {
        Ok(topic) => topic,
        Err(RecvError::Lagged(_)) => Topic::Everything,
        Err(RecvError::Closed) => panic!("the bus has ended"),
    }
}

async fn until(topics: &mut Receiver<Topic>, wanted: &Topic) {
    while next(topics).await != *wanted {}
}

async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let come_true = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(LIMIT, come_true).await.is_err() {
        panic!("{what} did not happen");
    }
}

/// A client of the server that isn't ours.
async fn stranger(server: &Nats) -> async_nats::Client {
    async_nats::connect(server.url()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_publishes_are_few_messages_and_say_only_when_to_look() {
    let server = Nats::start("").await.unwrap();
    let mut raw = stranger(&server).await.subscribe(SUBJECT).await.unwrap();
    let (one, _) = bus(&server).await;
    for n in 0..20_000 {
        one.publish(session(format!("burst {}", n % 10)));
    }
    one.publish(session("end"));
    let (mut messages, mut topics) = (0, 0);
    loop {
        let message = timeout(LIMIT, raw.next()).await.unwrap().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let keys: Vec<_> = said.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["from", "n", "wake"]);
        messages += 1;
        let wake = said["wake"].as_array().unwrap();
        topics += wake.len();
        if wake.iter().any(|topic| topic["s"] == "end") {
            break;
        }
    }
    assert!(
        messages <= 50 && topics <= 500,
        "{messages} messages with {topics} topics"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deployments_on_one_server_dont_hear_each_other() {
    let server = Nats::start("").await.unwrap();
    let other_prefix = || NatsOptions {
        prefix: SubjectPrefix::parse("acme.cowork").unwrap(),
        ..options(&server.url())
    };
    let (ours, mut to_us) = bus(&server).await;
    let (theirs, _) = connected(other_prefix()).await;
    let (_witness, mut to_them) = connected(other_prefix()).await;
    let (second, _) = bus(&server).await;
    ours.publish(session("ours"));
    theirs.publish(session("theirs"));
    assert_eq!(next(&mut to_them).await, session("theirs"));
    second.publish(session("ours too"));
    assert_eq!(next(&mut to_us).await, session("ours too"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_publish_wakes_nobody_and_is_counted() {
    let server = Nats::start("").await.unwrap();
    let (ours, mut remote) = bus(&server).await;
    let stranger = stranger(&server).await;
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"from":"x","n":1,"wake":[{}]}}"#, " ".repeat(900_000));
    let hostile: [&[u8]; 8] = [
        b"",
        b"nonsense",
        b"\xff\x00\xfe",
        b"{\"k\":\"s\",\"t\":\"acme\",\"s\":\"bare\"}",
        b"{\"from\":{},\"n\":1,\"wake\":[]}",
        b"{\"from\":\"x\",\"n\":1e99,\"wake\":[]}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for payload in hostile {
        stranger
            .publish(SUBJECT, payload.to_vec().into())
            .await
            .unwrap();
    }
    // Ours in form, with topics that no program of today knows between two that it does.
    let newer = r#"{"from":"x","n":1,"wake":[{"k":"s","t":"acme","s":"first"},{"k":"!"},[],{"k":"s","t":"acme","s":"last"}]}"#;
    stranger.publish(SUBJECT, newer.into()).await.unwrap();
    stranger.flush().await.unwrap();
    assert_eq!(next(&mut remote).await, session("first"));
    assert_eq!(next(&mut remote).await, session("last"));
    assert_eq!(ours.ignored(), hostile.len() as u64);
    assert!(ours.is_connected() && ours.trouble().is_none());
}

#[tokio::test]
async fn more_messages_than_fit_mean_look_at_everything() {
    let server = Nats::start("").await.unwrap();
    let (ours, mut remote) = bus(&server).await;
    let stranger = stranger(&server).await;
    let flood = async {
        // So fast that our queue overflows now and then, whatever the machine.
        loop {
            for n in 0..20_000 {
                let payload = format!(r#"{{"from":"x","n":{n},"wake":[]}}"#);
                stranger.publish(SUBJECT, payload.into()).await.unwrap();
            }
        }
    };
    tokio::select! {
        () = flood => {}
        topic = next(&mut remote) => assert_eq!(topic, Topic::Everything),
    }
    drop(stranger);
    // And it goes on as before.
    wait_for("a connection", || ours.is_connected()).await;
    let (other, _) = bus(&server).await;
    other.publish(session("after"));
    until(&mut remote, &session("after")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_costs_no_wake_up() {
    let mut server = Nats::start("").await.unwrap();
    let (one, _) = bus(&server).await;
    let (other, mut remote) = bus(&server).await;
    let (one, published) = (Arc::new(one), Arc::new(AtomicUsize::new(0)));
    let load = tokio::spawn({
        let (one, published) = (one.clone(), published.clone());
        async move {
            loop {
                let n = published.load(Ordering::SeqCst);
                one.publish(session(n.to_string()));
                published.store(n + 1, Ordering::SeqCst);
                if n % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    });
    let ear = tokio::spawn({
        let published = published.clone();
        async move {
            // Who is told to look at everything sees what was published until then.
            let (mut seen, mut heard) = (0, HashSet::new());
            loop {
                match next(&mut remote).await {
                    Topic::Everything => seen = published.load(Ordering::SeqCst),
                    topic if topic == session("end") => return (seen, heard),
                    topic => drop(heard.insert(topic)),
                }
            }
        }
    });
    for _ in 0..3 {
        let before = published.load(Ordering::SeqCst);
        server.kill().await;
        wait_for("the loss", || !one.is_connected() && !other.is_connected()).await;
        assert!(matches!(one.trouble(), Some(NatsError::Unreachable { .. })));
        server.start_again().await.unwrap();
        wait_for("connections", || one.is_connected() && other.is_connected()).await;
        assert_eq!(one.trouble(), None);
        wait_for("load", || published.load(Ordering::SeqCst) > before + 1_000).await;
    }
    load.abort();
    let _ = load.await;
    // What waits is told in no order: the end is published when a mark behind the load has been heard.
    let mut mark = other.subscribe_remote();
    let marked = async {
        loop {
            one.publish(session("mark"));
            let heard = async { until(&mut mark, &session("mark")).await };
            if timeout(Duration::from_millis(200), heard).await.is_ok() {
                return;
            }
        }
    };
    timeout(LIMIT, marked).await.unwrap();
    // Either may be joined with everything, so again and again.
    while !ear.is_finished() {
        one.publish(session("end"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (seen, heard) = ear.await.unwrap();
    let published = published.load(Ordering::SeqCst);
    let lost = (seen..published).filter(|n| !heard.contains(&session(n.to_string())));
    assert_eq!(
        lost.collect::<Vec<_>>(),
        [0; 0],
        "of {published}, after {seen}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_while_only_our_connection_is_away_is_told_later() {
    let server = Nats::start("").await.unwrap();
    let proxy = cut::Proxy::to(&server).await;
    let (cut_off, _) = connected(options(&proxy.url())).await;
    let (_other, mut remote) = bus(&server).await;
    proxy.cut();
    wait_for("the loss", || !cut_off.is_connected()).await;
    for n in 0..100 {
        cut_off.publish(session(n.to_string()));
    }
    proxy.mend();
    let mut wanted: HashSet<_> = (0..100).map(|n| session(n.to_string())).collect();
    while !wanted.is_empty() {
        let topic = next(&mut remote).await;
        assert_ne!(
            topic,
            Topic::Everything,
            "the other's connection stood all the time"
        );
        wanted.remove(&topic);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_when_the_connection_broke_is_told_again() {
    let server = Nats::start("").await.unwrap();
    let proxy = cut::Proxy::to(&server).await;
    let mut patient = options(&proxy.url());
    patient.silence = Duration::from_secs(2);
    let (ours, _) = connected(patient).await;
    let (_other, mut remote) = bus(&server).await;
    // Taken by the network, never brought to the server.
    proxy.swallow();
    ours.publish(session("swallowed"));
    wait_for("the loss", || !ours.is_connected()).await;
    proxy.mend();
    assert_eq!(next(&mut remote).await, session("swallowed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_noticed_and_found_again() {
    let server = Nats::start("").await.unwrap();
    let mut quick = options(&server.url());
    quick.silence = Duration::from_secs(2);
    let (ours, mut remote) = connected(quick.clone()).await;
    server.freeze();
    wait_for("the silence", || !ours.is_connected()).await;
    let trouble = ours.trouble().unwrap().to_string();
    assert!(trouble.contains("no sign of life for 2 s"), "{trouble}");
    // As long as it is frozen, every attempt ends.
    wait_for("an attempt without an answer", || {
        ours.trouble()
            .is_some_and(|trouble| trouble.to_string().contains("answer"))
    })
    .await;
    server.thaw();
    until(&mut remote, &Topic::Everything).await;
    assert!(ours.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_later_is_found() {
    let mut server = Nats::start("").await.unwrap();
    server.kill().await;
    let ours = NatsBus::start(options(&server.url()));
    let mut remote = ours.subscribe_remote();
    wait_for("the first failure", || ours.trouble().is_some()).await;
    let trouble = ours.trouble().unwrap().to_string();
    assert!(
        trouble.contains(&server.url()) && trouble.contains("refused"),
        "{trouble}"
    );
    ours.publish(session("early"));
    server.start_again().await.unwrap();
    until(&mut remote, &Topic::Everything).await;
    wait_for("no trouble", || ours.trouble().is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_servers_one_is_enough() {
    let server = Nats::start("").await.unwrap();
    let mut gone = Nats::start("").await.unwrap();
    gone.kill().await;
    let both = format!("{},{}", gone.url(), server.url());
    let (ours, _) = connected(options(&both)).await;
    let (_other, mut remote) = bus(&server).await;
    ours.publish(session("through the living one"));
    assert_eq!(next(&mut remote).await, session("through the living one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_password_and_token_open_the_door() {
    let server = Nats::start(r#"authorization { user: "me@acme", password: "p,:/@ü" }"#)
        .await
        .unwrap();
    connected(options(&server.url_of("me%40acme:p%2C%3A%2F%40%C3%BC"))).await;
    let server = Nats::start(r#"authorization { token: "a-token" }"#)
        .await
        .unwrap();
    connected(options(&server.url_of("a-token"))).await;
}

/// All that anybody logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// One thread: the log is that of this thread.
#[tokio::test]
async fn a_wrong_password_is_said_in_one_sentence_without_it() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Nats::start(r#"authorization { user: me, password: "right" }"#)
        .await
        .unwrap();
    let ours = NatsBus::start(options(&server.url_of("me:canary-1:canary-2")));
    wait_for("the refusal", || ours.trouble().is_some()).await;
    let refused = NatsError::Refused {
        server: server.url(),
    };
    assert_eq!(ours.trouble(), Some(refused.clone()));
    assert_eq!(
        refused.to_string(),
        format!(
            "the NATS server {} refuses our user and password; write the right ones into its address",
            server.url()
        )
    );
    assert!(!ours.is_connected());
    ours.publish(session("it still wakes itself"));
    assert!(!format!("{ours:?}").contains("canary"));
    // A second refusal isn't a second sentence.
    let log = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    wait_for("another attempt", || {
        log().matches("authorization violation").count() >= 4
    })
    .await;
    assert_eq!(log().matches("polling until they do").count(), 1);
    assert!(!log().contains("canary"), "{}", log());
    drop(ours);
    // The right one is in no log either.
    let before = log().len();
    connected(options(&server.url_of("me:right"))).await;
    assert!(
        log().len() > before && !log()[before..].contains("right"),
        "{}",
        &log()[before..]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_tls_sends_no_password_to_a_server_without_it() {
    let server = Nats::start("trace: true").await.unwrap();
    let secure = server.url_of("me:canary").replace("nats://", "tls://");
    let ours = NatsBus::start(options(&secure));
    wait_for("the refusal", || ours.trouble().is_some()).await;
    let trouble = ours.trouble().unwrap();
    assert!(
        matches!(trouble, NatsError::Unreachable { .. }),
        "{trouble}"
    );
    assert!(
        !ours.is_connected() && !server.log().contains("[CONNECT"),
        "{}",
        server.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_use_the_subject_is_told_which() {
    for permissions in [
        r#"{ subscribe: "else.>", publish: ">" }"#,
        r#"{ subscribe: ">", publish: "else.>" }"#,
    ] {
        let users = format!(
            r#"authorization {{ users = [ {{ user: me, password: right, permissions: {permissions} }} ] }}"#
        );
        let server = Nats::start(&users).await.unwrap();
        let ours = NatsBus::start(options(&server.url_of("me:right")));
        wait_for("the refusal", || ours.trouble().is_some()).await;
        let forbidden = NatsError::Forbidden {
            server: server.url(),
            subject: SUBJECT.to_owned(),
        };
        assert_eq!(ours.trouble(), Some(forbidden), "{permissions}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_small_messages_only_gets_small_ones() {
    let server = Nats::start("max_payload: 1024").await.unwrap();
    let (one, _) = bus(&server).await;
    let (_other, mut remote) = bus(&server).await;
    let mut wanted: HashSet<_> = (0..500).map(|n| session(format!("session-{n}"))).collect();
    for topic in &wanted {
        one.publish(topic.clone());
    }
    while !wanted.is_empty() {
        let topic = next(&mut remote).await;
        wanted.remove(&topic);
    }
    one.publish(session("x".repeat(2_000)));
    until(&mut remote, &Topic::Everything).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_dropped_leaves_the_server() {
    let server = Nats::start("debug: true").await.unwrap();
    let (ours, mut remote) = bus(&server).await;
    drop(ours);
    wait_for("the end of the connection", || {
        server.log().contains("Client connection closed")
    })
    .await;
    assert_eq!(
        timeout(LIMIT, remote.recv()).await.unwrap(),
        Err(RecvError::Closed)
    );
}

/// A way to the server that can be cut, or carry nothing one way.
mod cut {
    use super::Nats;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::watch;
    use tokio::task::JoinHandle;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Way {
        Open,
        Swallowing,
        Cut,
    }

    pub(crate) struct Proxy {
        address: SocketAddr,
        way: watch::Sender<Way>,
        task: JoinHandle<()>,
    }

    impl Drop for Proxy {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    impl Proxy {
        pub(crate) async fn to(server: &Nats) -> Proxy {
            let to = server.url().trim_start_matches("nats://").to_owned();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (way, seen) = watch::channel(Way::Open);
            let task = tokio::spawn(async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    if *seen.borrow() == Way::Open {
                        let server = TcpStream::connect(&to).await.unwrap();
                        tokio::spawn(carry(client, server, seen.clone()));
                    }
                }
            });
            Proxy { address, way, task }
        }

        pub(crate) fn url(&self) -> String {
            format!("nats://{}", self.address)
        }

        pub(crate) fn cut(&self) {
            self.way.send_replace(Way::Cut);
        }

        pub(crate) fn swallow(&self) {
            self.way.send_replace(Way::Swallowing);
        }

        pub(crate) fn mend(&self) {
            self.way.send_replace(Way::Open);
        }
    }

    async fn carry(mut client: TcpStream, mut server: TcpStream, mut way: watch::Receiver<Way>) {
        let (mut up, mut down) = ([0; 4096], [0; 4096]);
        let mut is_whole = true;
        loop {
            tokio::select! {
                _ = way.changed() => {
                    match *way.borrow_and_update() {
                        Way::Cut => return,
                        Way::Swallowing => is_whole = false,
                        // What was swallowed doesn't come back.
                        Way::Open if !is_whole => return,
                        Way::Open => {}
                    }
                }
                read = client.read(&mut up) => match read {
                    Ok(count @ 1..) if is_whole => server.write_all(&up[..count]).await.unwrap(),
                    Ok(1..) => {}
                    _ => return,
                },
                read = server.read(&mut down) => match read {
                    Ok(count @ 1..) => client.write_all(&down[..count]).await.unwrap(),
                    _ => return,
                },
            }
        }
    }
}
