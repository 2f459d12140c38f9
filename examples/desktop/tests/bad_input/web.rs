//! A visitor who speaks HTTP by hand, so that nothing tidies up what is sent.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A page that was entered with its token.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) address: String,
    /// The path of this start, `/w/…`; every path below is relative to it.
    pub(crate) base: String,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Page {
    /// `127.0.0.1:PORT/w/…/?token=…`
    pub(crate) fn enter(url: &str) -> Page {
        let (address, path) = url.split_once('/').unwrap();
        let answer = exchange(
            address,
            &format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let (base, _) = path.split_once("/?token=").unwrap();
        let mut page = Page {
            address: address.to_owned(),
            base: format!("/{base}"),
            cookie,
            csrf: String::new(),
        };
        let home = page.get("/");
        assert_eq!(home.status, 200, "{home:?}");
        let token = home
            .body
            .split("name=\"csrf\" value=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        page.csrf = token
            .unwrap_or_else(|| panic!("no form token in {}", home.body))
            .to_owned();
        page
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// A form, as the script sends it: answers are JSON.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = format!("csrf={}", encoded(&self.csrf));
        for (name, value) in fields {
            body.push_str(&format!("&{name}={}", encoded(value)));
        }
        self.send("POST", path, &["Accept: application/json"], &body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        exchange(&self.address, &self.request(method, path, headers, body))
    }

    /// The text of a request with our cookie; a header given here replaces the usual one.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> String {
        let mut text = format!(
            "{method} {}{path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.base,
            body.len()
        );
        let usual = [
            format!("Host: {}", self.address),
            format!("Cookie: {}", self.cookie),
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
        ];
        let named = |header: &str| {
            header
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        for header in &usual {
            if !headers.iter().any(|given| named(given) == named(header)) {
                text.push_str(&format!("{header}\r\n"));
            }
        }
        for header in headers.iter().filter(|header| !header.ends_with(": ")) {
            text.push_str(&format!("{header}\r\n"));
        }
        format!("{text}\r\n{body}")
    }

    /// A new chat with a prompt; its id.
    pub(crate) fn chat(&self, text: &str) -> String {
        let answer = self.post("/chats", &[("text", text)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.body.split("/chats/").nth(1).unwrap();
        id.split(['"', '?']).next().unwrap().to_owned()
    }

    /// What the event stream sends within a time.
    pub(crate) fn listen(&self, path: &str, time: Duration) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .write_all(self.request("GET", path, &[], "").as_bytes())
            .unwrap();
        let (begun, mut seen, mut buffer) = (Instant::now(), Vec::new(), [0; 16 * 1024]);
        while begun.elapsed() < time {
            stream
                .set_read_timeout(Some(Duration::from_millis(100)))
                .unwrap();
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => seen.extend_from_slice(&buffer[..count]),
                Err(_) => {}
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

/// Sends that text and reads to the end.
pub(crate) fn exchange(address: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // A server that refuses early may close before everything is written.
    let _ = stream.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Percent-encoded, every byte that isn't a letter or digit.
pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => (byte as char).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
