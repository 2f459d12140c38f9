//! Shapes of JSON in one line: `{id:s, title:s|null, tags:[$Tag], note?:s}`.
//!
//! `s` text, `n` number, `i` whole number, `b` true or false, `t` time (ISO-8601, UTC, milliseconds), `o` any object,
//! `a` anything, `null`, `"x"` this text, `[T]` a list, `{k:T, k?:T}` an object with at least these members, `{*:T}` an
//! object whose members are all T, `T|T` either, `$Name` a named shape. Members that a shape doesn't name are allowed:
//! additive fields are welcome (00, rule 1).

use serde_json::Value;
use std::collections::HashMap;

/// A parsed shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Flag,
    /// ISO-8601, UTC, milliseconds.
    Time,
    /// Any object.
    Object,
    /// Anything.
    Any,
    /// Null.
    Null,
    /// Exactly this text.
    Literal(String),
    /// A list.
    List(Box<Shape>),
    /// An object with at least these members: name, required, shape.
    Members(Vec<(String, bool, Shape)>),
    /// An object whose members all have this shape.
    Map(Box<Shape>),
    /// Either.
    Either(Vec<Shape>),
    /// A named shape.
    Named(String),
}

/// Named shapes.
pub type Shapes = HashMap<&'static str, Shape>;

/// Parses a table of `name`, `shape`.
pub fn parse_all(table: &[(&'static str, &str)]) -> Result<Shapes, String> {
    let mut shapes = Shapes::new();
    for (name, text) in table {
        let shape = parse(text).map_err(|reason| format!("{name}: {reason}"))?;
        shapes.insert(name, shape);
    }
    Ok(shapes)
}

/// Parses one shape.
pub fn parse(text: &str) -> Result<Shape, String> {
    let mut parser = Parser { rest: text };
    let shape = parser.either()?;
    match parser.rest.trim() {
        "" => Ok(shape),
        rest => Err(format!("`{rest}` is left over")),
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, token: &str) -> Result<(), String> {
        match self.eat(token) {
            true => Ok(()),
            false => Err(format!("`{token}` is missing before `{}`", self.rest)),
        }
    }

    fn word(&mut self) -> &'t str {
        let rest = self.rest.trim_start();
        let end =
            rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_' && char != '-');
        let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        word
    }

    fn either(&mut self) -> Result<Shape, String> {
        let mut shapes = vec![self.one()?];
        while self.eat("|") {
            shapes.push(self.one()?);
        }
        match shapes.len() {
            1 => Ok(shapes.remove(0)),
            _ => Ok(Shape::Either(shapes)),
        }
    }

    fn one(&mut self) -> Result<Shape, String> {
        if self.eat("[") {
            let item = self.either()?;
            self.need("]")?;
            return Ok(Shape::List(Box::new(item)));
        }
        if self.eat("{*:") {
            let value = self.either()?;
            self.need("}")?;
            return Ok(Shape::Map(Box::new(value)));
        }
        if self.eat("{") {
            let mut members = Vec::new();
            while !self.eat("}") {
                let name = self.word().to_owned();
                let required = !self.eat("?");
                self.need(":")?;
                members.push((name, required, self.either()?));
                if !self.eat(",") {
                    self.need("}")?;
                    break;
                }
            }
            return Ok(Shape::Members(members));
        }
        if self.eat("$") {
            return Ok(Shape::Named(self.word().to_owned()));
        }
        if self.eat("\"") {
            let (text, rest) = self.rest.split_once('"').ok_or("a `\"` is missing")?;
            self.rest = rest;
            return Ok(Shape::Literal(text.to_owned()));
        }
        Ok(match self.word() {
            "s" => Shape::Text,
            "n" => Shape::Number,
            "i" => Shape::Integer,
            "b" => Shape::Flag,
            "t" => Shape::Time,
            "o" => Shape::Object,
            "a" => Shape::Any,
            "null" => Shape::Null,
            other => return Err(format!("`{other}` is no shape")),
        })
    }
}

/// Where a value differs from a shape; empty when it doesn't.
pub fn differences(value: &Value, shape: &Shape, shapes: &Shapes) -> Vec<String> {
    let mut found = Vec::new();
    compare(value, shape, shapes, "", &mut found);
    found
}

fn compare(value: &Value, shape: &Shape, shapes: &Shapes, at: &str, found: &mut Vec<String>) {
    let place = if at.is_empty() { "/" } else { at };
    let fits = match shape {
        Shape::Any => true,
        Shape::Null => value.is_null(),
        Shape::Text => value.is_string(),
        Shape::Number => value.is_number(),
        Shape::Integer => value.as_i64().is_some(),
        Shape::Flag => value.is_boolean(),
        Shape::Object => value.is_object(),
        Shape::Time => value.as_str().is_some_and(is_time),
        Shape::Literal(text) => value == text.as_str(),
        Shape::Named(name) => match shapes.get(name.as_str()) {
            Some(shape) => return compare(value, shape, shapes, at, found),
            None => return found.push(format!("{place}: there is no shape `{name}`")),
        },
        Shape::List(item) => match value {
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    compare(value, item, shapes, &format!("{at}/{index}"), found);
                }
                return;
            }
            _ => false,
        },
        Shape::Map(member) => match value {
            Value::Object(members) => {
                for (name, value) in members {
                    compare(value, member, shapes, &format!("{at}/{name}"), found);
                }
                return;
            }
            _ => false,
        },
        Shape::Members(members) => match value {
            Value::Object(object) => {
                for (name, required, shape) in members {
                    match object.get(name) {
                        Some(value) => {
                            compare(value, shape, shapes, &format!("{at}/{name}"), found)
                        }
                        None if *required => found.push(format!("{at}/{name} is missing")),
                        None => {}
                    }
                }
                return;
            }
            _ => false,
        },
        Shape::Either(either) => {
            let tries: Vec<Vec<String>> = either
                .iter()
                .map(|shape| {
                    let mut found = Vec::new();
                    compare(value, shape, shapes, at, &mut found);
                    found
                })
                .collect();
            // The alternative that came nearest says most.
            let nearest = tries.into_iter().max_by_key(|found| {
                let depth = found.iter().map(|text| text.matches('/').count()).max();
                (found.is_empty(), depth)
            });
            return found.extend(nearest.unwrap_or_default());
        }
    };
    if !fits {
        let mut shown = value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(60) {
            shown.truncate(end);
        }
        found.push(format!("{place}: {shown} is not {}", name_of(shape)));
    }
}

fn name_of(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".into(),
        Shape::Number => "a number".into(),
        Shape::Integer => "a whole number".into(),
        Shape::Flag => "true or false".into(),
        Shape::Time => "a time in UTC with milliseconds".into(),
        Shape::Null => "null".into(),
        Shape::Literal(text) => format!("`{text}`"),
        Shape::List(_) => "a list".into(),
        _ => "an object".into(),
    }
}

/// `2026-01-02T03:04:05.678Z`.
fn is_time(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, expected)| match expected {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value, reason = "reads better at the calls")]
    fn check(value: Value, shape: &str) -> Vec<String> {
        let shapes = parse_all(&[("Tag", "{id:s, color?:s}")]).unwrap();
        differences(&value, &parse(shape).unwrap(), &shapes)
    }

    #[test]
    fn a_value_that_fits_has_no_difference() {
        let shape = r#"{id:s, n:i, on:b, at:t|null, kind:"a"|"b", tags:[$Tag], map:{*:n}, note?:s, any:a, o:o}"#;
        let value = json!({
            "id": "", "n": 3, "on": true, "at": "2026-01-02T03:04:05.678Z", "kind": "b", "tags": [{"id": "x"}],
            "map": {"x": 1.5}, "any": null, "o": {}, "additive": 1,
        });
        assert_eq!(check(value, shape), Vec::<String>::new());
    }

    #[test]
    fn every_difference_is_told_with_its_place() {
        let value = json!({"at": "2026-01-02T03:04:05Z", "kind": "c", "tags": [{"id": 1, "color": null}], "n": 1.5});
        let found = check(
            value,
            r#"{id:s, at:t|null, kind:"a"|"b", tags:[$Tag], n:i}"#,
        );
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(found.contains(&"/id is missing".to_owned()));
        assert!(found.contains(&"/tags/0/id: 1 is not text".to_owned()));
    }

    #[test]
    fn a_wrong_shape_is_told() {
        for text in ["", "{a:}", "{a", "[s", "x", "s s", "\"a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
