//! What every [`EventBus`] must do (04 §9).
//!
//! ```ignore
//! use open_cowork_providers::conformance::bus::Buses;
//!
//! async fn fresh() -> Buses {
//!     let server = Server::start().await;
//!     Buses::new(MyBus::start(&server), MyBus::start(&server), server)
//! }
//! open_cowork_providers::bus_conformance!(fresh);
//! ```
//!
//! Others may use the same server at the same time: a case knows its own topics and ignores the rest.

use crate::bus::{EventBus, Topic};
use crate::store::{Scope, SessionKey};
use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// How long a wake-up may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The buses of two processes, and whatever must live as long (a server).
pub struct Buses {
    /// One process.
    pub one: Arc<dyn EventBus>,
    /// The other.
    pub other: Arc<dyn EventBus>,
    _guard: Box<dyn Any + Send>,
}

impl Buses {
    /// Two buses of one deployment, and what is dropped after them.
    pub fn new(one: impl EventBus, other: impl EventBus, guard: impl Any + Send) -> Self {
        Buses {
            one: Arc::new(one),
            other: Arc::new(other),
            _guard: Box::new(guard),
        }
    }
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Makes one `#[tokio::test]` per case of the event bus's suite. The argument is the path of an
        /// `async fn() -> Buses`.
        #[macro_export]
        macro_rules! bus_conformance {
            ($fresh:path) => {
                $(
                    #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        $crate::conformance::bus::$case(&$fresh().await).await;
                    }
                )*
            };
        }
    };
}

cases! {
    every_kind_of_topic_wakes_its_own_process_at_once_and_the_others,
    own_wake_ups_are_not_remote,
    every_subscriber_is_woken,
    a_topic_that_is_published_again_wakes_again,
    equal_topics_may_be_joined_but_the_last_one_is_heard,
    of_a_flood_nothing_is_lost_without_a_word,
    ids_that_look_like_something_else_arrive_as_they_are,
    an_id_of_any_length_wakes,
    a_subscriber_that_reads_nothing_holds_nobody_up,
    publishing_from_many_threads_is_heard,
}

fn session(id: impl AsRef<str>) -> Topic {
    Topic::Session(SessionKey::new("conformance", id.as_ref()))
}

/// The next topic; who lags has missed some, which is the same as being told to look at everything.
async fn next(topics: &mut Receiver<Topic>) -> Topic {
    match timeout(LIMIT, topics.recv()).await {
        Ok(Ok(topic)) => topic,
        Ok(Err(RecvError::Lagged(_))) => Topic::Everything,
        Ok(Err(RecvError::Closed)) => panic!("the bus has ended"),
        Err(_) => panic!("no wake-up within {} s", LIMIT.as_secs()),
    }
}

/// Until that topic comes; what came before it.
async fn until(topics: &mut Receiver<Topic>, wanted: &Topic) -> Vec<Topic> {
    let mut before = Vec::new();
    loop {
        match next(topics).await {
            topic if topic == *wanted => return before,
            topic => before.push(topic),
        }
    }
}

/// Until both hear each other: before that a wake-up may be lost.
async fn joined(buses: &Buses) {
    let up = async {
        let (mut here, mut there) = (buses.one.subscribe_remote(), buses.other.subscribe_remote());
        let (to, back) = (session("hello"), session("hello back"));
        loop {
            buses.one.publish(to.clone());
            buses.other.publish(back.clone());
            let heard = async {
                until(&mut there, &to).await;
                until(&mut here, &back).await;
            };
            if buses.one.is_connected()
                && buses.other.is_connected()
                && timeout(Duration::from_millis(500), heard).await.is_ok()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    if timeout(LIMIT, up).await.is_err() {
        panic!("the buses don't hear each other");
    }
}

/// A topic comes to [`EventBus::subscribe`] of its process before `publish` returns, and to all others.
pub async fn every_kind_of_topic_wakes_its_own_process_at_once_and_the_others(buses: &Buses) {
    joined(buses).await;
    let (mut own, mut all, mut remote) = (
        buses.one.subscribe(),
        buses.other.subscribe(),
        buses.other.subscribe_remote(),
    );
    for topic in [
        session("kinds"),
        Topic::Workspace(Scope::new("conformance", "kinds")),
        Topic::Commands(SessionKey::new("conformance", "kinds")),
        Topic::Credentials("conformance".into()),
        Topic::Everything,
    ] {
        buses.one.publish(topic.clone());
        let mut heard = false;
        while let Ok(seen) = own.try_recv() {
            heard |= seen == topic;
        }
        assert!(heard, "{topic:?} needs no server to wake its own process");
        until(&mut all, &topic).await;
        until(&mut remote, &topic).await;
    }
}

/// What a process published itself never comes to its [`EventBus::subscribe_remote`].
pub async fn own_wake_ups_are_not_remote(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.one.subscribe_remote();
    let mut there = buses.other.subscribe_remote();
    for n in 0..20 {
        buses.one.publish(session(format!("own {n}")));
        // Heard there: if it came back, it would be before the answer.
        until(&mut there, &session(format!("own {n}"))).await;
        buses.other.publish(session(format!("answer {n}")));
        let before = until(&mut remote, &session(format!("answer {n}"))).await;
        assert!(!before.contains(&session(format!("own {n}"))));
    }
}

/// One publish, many subscribers.
pub async fn every_subscriber_is_woken(buses: &Buses) {
    joined(buses).await;
    let mut here: Vec<_> = (0..50).map(|_| buses.one.subscribe()).collect();
    let mut there: Vec<_> = (0..50).map(|_| buses.other.subscribe_remote()).collect();
    buses.one.publish(session("all"));
    for subscriber in here.iter_mut().chain(&mut there) {
        until(subscriber, &session("all")).await;
    }
}

/// Joining equal topics never joins one with another that was heard before it was published.
pub async fn a_topic_that_is_published_again_wakes_again(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.other.subscribe_remote();
    for _ in 0..100 {
        buses.one.publish(session("again"));
        until(&mut remote, &session("again")).await;
        // A second copy of the same one would make the next round true for nothing.
        while remote.try_recv().is_ok() {}
    }
}

/// Of many equal ones, one at least comes after the last was published.
pub async fn equal_topics_may_be_joined_but_the_last_one_is_heard(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.other.subscribe_remote();
    for _ in 0..20_000 {
        buses.one.publish(session("equal"));
    }
    buses.one.publish(session("end of equal"));
    // In any order: what waits is a set.
    let mut wanted = HashSet::from([session("equal"), session("end of equal")]);
    while !wanted.is_empty() {
        match next(&mut remote).await {
            Topic::Everything => return,
            topic => wanted.remove(&topic),
        };
    }
}

/// More topics than any queue holds: each is heard, or the subscriber is told to look at everything.
pub async fn of_a_flood_nothing_is_lost_without_a_word(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.other.subscribe_remote();
    const FLOOD: usize = 30_000;
    let mut wanted: HashSet<_> = (0..FLOOD).map(|n| session(format!("flood {n}"))).collect();
    for n in 0..FLOOD {
        buses.one.publish(session(format!("flood {n}")));
    }
    while !wanted.is_empty() {
        match next(&mut remote).await {
            Topic::Everything => break,
            topic => wanted.remove(&topic),
        };
    }
    // And it goes on as before. Again and again: with "everything" it may be joined.
    let after = session("after the flood");
    let again = async {
        loop {
            buses.one.publish(after.clone());
            let heard = until(&mut remote, &after);
            if timeout(Duration::from_millis(500), heard).await.is_ok() {
                return;
            }
        }
    };
    if timeout(LIMIT, again).await.is_err() {
        panic!("nothing arrives after the flood");
    }
}

/// No id is read as part of the way it travels.
pub async fn ids_that_look_like_something_else_arrive_as_they_are(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.other.subscribe_remote();
    for id in [
        "s\u{0}1",
        "\"}],\"k\":\"*\"",
        "a.b.*.>",
        "'; NOTIFY open_cowork_cloud_sse",
        "line\r\nPUB x 0\r\n",
        "\u{1f600} ü \u{2028}",
        " ",
    ] {
        buses.one.publish(session(id));
        let before = until(&mut remote, &session(id)).await;
        assert!(!before.contains(&Topic::Everything), "{id:?}");
    }
}

/// A topic that can't travel as it is wakes everybody.
pub async fn an_id_of_any_length_wakes(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.other.subscribe_remote();
    for length in [1_000, 7_900, 9_000, 100_000, 2_000_000] {
        let long = session("l".repeat(length));
        buses.one.publish(long.clone());
        loop {
            let topic = next(&mut remote).await;
            if topic == long || topic == Topic::Everything {
                break;
            }
        }
    }
    buses.one.publish(session("after the long ones"));
    until(&mut remote, &session("after the long ones")).await;
}

/// A subscriber that doesn't read lags, and is told so; nobody else notices.
pub async fn a_subscriber_that_reads_nothing_holds_nobody_up(buses: &Buses) {
    joined(buses).await;
    let mut slow = buses.other.subscribe_remote();
    let mut quick = buses.other.subscribe_remote();
    for n in 0..10_000 {
        buses.one.publish(session(format!("slow {n}")));
        // In steps: published at once, they would be joined to one.
        if n % 1_000 == 999 {
            loop {
                let topic = next(&mut quick).await;
                if topic == session(format!("slow {n}")) || topic == Topic::Everything {
                    break;
                }
            }
        }
    }
    buses.one.publish(session("slow at last"));
    until(&mut quick, &session("slow at last")).await;
    let before = until(&mut slow, &session("slow at last")).await;
    assert!(
        before.contains(&Topic::Everything),
        "it isn't told that it lags"
    );
}

/// Publishing needs no order among threads.
pub async fn publishing_from_many_threads_is_heard(buses: &Buses) {
    joined(buses).await;
    let mut remote = buses.other.subscribe_remote();
    let name = |thread: usize, n: usize| session(format!("thread {thread} {n}"));
    let mut wanted: HashSet<_> = (0..8)
        .flat_map(|thread| (0..100).map(move |n| name(thread, n)))
        .collect();
    let threads = (0..8).map(|thread| {
        let bus = buses.one.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                bus.publish(name(thread, n));
                tokio::task::yield_now().await;
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.await.unwrap();
    }
    while !wanted.is_empty() {
        match next(&mut remote).await {
            Topic::Everything => break,
            topic => wanted.remove(&topic),
        };
    }
}
