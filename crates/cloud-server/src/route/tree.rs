//! Finding the route of a method and path. A literal segment beats a parameter; empty segments are dropped
//! (03 §1.3).

use super::{Access, Route};
use axum::http::Method;
use std::collections::HashMap;
use std::sync::Arc;

/// All routes, by segment.
#[derive(Default)]
pub struct Tree {
    root: Node,
}

#[derive(Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    routes: Vec<Arc<Route>>,
}

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// A route with the raw values of its parameters.
    Route(Arc<Route>, Vec<String>),
    /// The path exists with these methods.
    OtherMethods(Vec<Method>),
    /// A segment can't be decoded.
    BadEncoding,
    /// Nothing.
    Nothing,
}

impl Tree {
    /// A tree of these routes. The first of two routes with the same method and path wins; a test finds such pairs.
    pub fn new(routes: Vec<Route>) -> Self {
        let mut tree = Tree::default();
        for route in routes {
            let mut node = &mut tree.root;
            for segment in route.path.split('/').filter(|part| !part.is_empty()) {
                node = match segment.starts_with(':') {
                    true => node.parameter.get_or_insert_default(),
                    false => node.literals.entry(segment.to_owned()).or_default(),
                };
            }
            node.routes.push(Arc::new(route));
        }
        tree
    }

    /// The route of a request. `HEAD` is no `GET` (03 §1.3).
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let mut segments = Vec::with_capacity(8);
        for segment in path.split('/').filter(|part| !part.is_empty()) {
            if segments.len() == 16 {
                return Found::Nothing;
            }
            match decode(segment) {
                Some(segment) => segments.push(segment),
                None => return Found::BadEncoding,
            }
        }
        let mut others = Vec::new();
        let mut params = Vec::new();
        if let Some(route) = self.root.find(method, &segments, &mut params, &mut others) {
            return Found::Route(route, params);
        }
        match others.is_empty() {
            true => Found::Nothing,
            false => Found::OtherMethods(others),
        }
    }

    /// Every route.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        let mut routes = Vec::new();
        self.root.collect(&mut routes);
        routes
    }
}

impl Node {
    fn find(
        &self,
        method: &Method,
        segments: &[String],
        params: &mut Vec<String>,
        others: &mut Vec<Method>,
    ) -> Option<Arc<Route>> {
        let Some((first, rest)) = segments.split_first() else {
            let found = self
                .routes
                .iter()
                .find(|route| route.method == method || matches!(route.access, Access::Health));
            if found.is_none() {
                others.extend(self.routes.iter().map(|route| route.method.clone()));
            }
            return found.cloned();
        };
        if let Some(node) = self.literals.get(first)
            && let Some(route) = node.find(method, rest, params, others)
        {
            return Some(route);
        }
        let node = self.parameter.as_ref()?;
        params.push(first.clone());
        let found = node.find(method, rest, params, others);
        if found.is_none() {
            params.pop();
        }
        found
    }

    fn collect(&self, routes: &mut Vec<Arc<Route>>) {
        routes.extend(self.routes.iter().cloned());
        for node in self.literals.values() {
            node.collect(routes);
        }
        if let Some(node) = &self.parameter {
            node.collect(routes);
        }
    }
}

/// A percent-decoded segment; `None` for broken escapes, for what is no UTF-8 then, and for NUL.
fn decode(segment: &str) -> Option<String> {
    let mut rest = segment;
    while let Some(at) = rest.find('%') {
        let escape = rest.get(at + 1..at + 3)?;
        if !escape.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        rest = &rest[at + 3..];
    }
    let decoded = percent_encoding::percent_decode_str(segment)
        .decode_utf8()
        .ok()?
        .into_owned();
    (!decoded.contains('\0')).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply;

    fn tree(routes: &[(&'static str, &'static str)]) -> Tree {
        let route = |(method, path): &(&str, &'static str)| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            Route::new(method, *path, Access::Open, "", async |_| reply::ok(&()))
        };
        Tree::new(routes.iter().map(route).collect())
    }

    fn found(tree: &Tree, method: &str, path: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match tree.find(&method, path) {
            Found::Route(route, params) => format!("{} {}", route.path, params.join(",")),
            Found::OtherMethods(methods) => format!("405 {methods:?}"),
            Found::BadEncoding => "400".into(),
            Found::Nothing => "404".into(),
        }
    }

    #[test]
    fn a_literal_beats_a_parameter_and_the_parameter_is_a_way_back() {
        let tree = tree(&[
            ("POST", "workflows/:id/run"),
            ("POST", "workflows/scheduler/tick"),
            ("GET", "workflows/:id"),
        ]);
        for (method, path, expected) in [
            (
                "POST",
                "/api/workflows/scheduler/tick",
                "/api/workflows/scheduler/tick ",
            ),
            (
                "POST",
                "/api/workflows/scheduler/run",
                "/api/workflows/:id/run scheduler",
            ),
            (
                "GET",
                "/api/workflows/scheduler",
                "/api/workflows/:id scheduler",
            ),
            ("GET", "//api/workflows//a%2Fb/", "/api/workflows/:id a/b"),
            ("POST", "/api/workflows/a", "405 [GET]"),
            ("HEAD", "/api/workflows/a", "405 [GET]"),
            ("GET", "/api/workflows/%zz", "400"),
            ("GET", "/api/workflows/%ff", "400"),
            ("GET", "/api/workflows/a%00b", "400"),
            ("GET", "/api/nothing", "404"),
            ("GET", "/", "404"),
        ] {
            assert_eq!(found(&tree, method, path), expected, "{method} {path}");
        }
    }
}
