//! A YAML file as a list of values, each with its dotted path and its line.

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Such as `cloud.branding.productName` or `services.web.ports[0]`.
    pub(super) path: String,
    /// As text; empty for null and for an empty mapping or list.
    pub(super) value: String,
    /// From 1.
    pub(super) line: u32,
}

/// Every value of every document of the file.
///
/// # Errors
/// The line and the sentence of the parser.
pub(super) fn leaves(text: &str) -> Result<Vec<Leaf>, (u32, String)> {
    /// Deeper than any values file; the parser itself is bounded by the file.
    const MAX_DEPTH: usize = 64;
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| (narrow(error.marker().line()), error.info().to_owned()))?;
    let mut found = Vec::new();
    for document in &documents {
        walk(document, &mut String::new(), MAX_DEPTH, &mut found);
    }
    Ok(found)
}

fn walk(node: &MarkedYaml<'_>, path: &mut String, depth: usize, found: &mut Vec<Leaf>) {
    let line = narrow(node.span.start.line());
    let mut leaf = |value: String| {
        found.push(Leaf {
            path: path.clone(),
            value,
            line,
        })
    };
    if depth == 0 {
        return;
    }
    match &node.data {
        YamlData::Mapping(mapping) if !mapping.is_empty() => {
            for (key, value) in mapping {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&scalar(&key.data));
                walk(value, path, depth - 1, found);
                path.truncate(length);
            }
        }
        YamlData::Sequence(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{at}]"));
                walk(item, path, depth - 1, found);
                path.truncate(length);
            }
        }
        YamlData::Tagged(_, node) => walk(node, path, depth - 1, found),
        other => leaf(scalar(other)),
    }
}

fn scalar<'a>(data: &YamlData<'a, MarkedYaml<'a>>) -> String {
    match data {
        YamlData::Value(Scalar::String(text)) => text.to_string(),
        YamlData::Value(Scalar::Boolean(value)) => value.to_string(),
        YamlData::Value(Scalar::Integer(value)) => value.to_string(),
        YamlData::Value(Scalar::FloatingPoint(value)) => value.to_string(),
        YamlData::Representation(text, ..) => text.to_string(),
        _ => String::new(),
    }
}

fn narrow(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_paths_and_lines() {
        let found = leaves("cloud:\n  branding: {productName: \"A: b\"}\n  list:\n    - 1\n    - x: true\n  none:\n").unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|leaf| (leaf.path.as_str(), leaf.value.as_str(), leaf.line))
            .collect();
        assert_eq!(
            shown,
            [
                ("cloud.branding.productName", "A: b", 2),
                ("cloud.list[0]", "1", 4),
                ("cloud.list[1].x", "true", 5),
                ("cloud.none", "", 6),
            ]
        );
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let (line, _) = leaves("a: 1\nb: [1, 2\nc: }\n").unwrap_err();
        assert!(line >= 2);
    }
}
