#![allow(missing_docs)]
use open_cowork_contracts::*;
use open_cowork_projection::Projector;
use std::collections::BTreeMap;
use std::time::*;
#[path = "../src/thread.rs"]
#[allow(dead_code)]
mod thread;
fn main() {
    let text = std::fs::read_to_string("/tmp/w/recorded.jsonl").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let session = thread::session();
    for _ in 0..3 {
        let mut by: BTreeMap<String, (Duration, usize, usize)> = BTreeMap::new();
        let mut projector = Projector::new(&session);
        let mut parse = Duration::ZERO;
        for line in &lines {
            let t = Instant::now();
            let event: SessionEventRecord = serde_json::from_str(line).unwrap();
            parse += t.elapsed();
            let t = Instant::now();
            projector.apply(&session, &event);
            let e = by.entry(event.kind.to_string()).or_default();
            e.0 += t.elapsed();
            e.1 += 1;
            e.2 += line.len();
        }
        println!("parse {:?}", parse);
        for (k, (d, n, b)) in by {
            println!("{k:30} {n:6} events {:8} bytes/event total {:8.1} ms {:8.0} ns/event", b / n, d.as_secs_f64() * 1e3, d.as_nanos() as f64 / n as f64);
        }
    }
}
