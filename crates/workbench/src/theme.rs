//! Colours of the workbench. They live in the theme crate; these names are kept for whoever only embeds the
//! workbench.

pub use open_cowork_theme::{Palette, Rgb, Theme};

#[cfg(test)]
mod tests {
    use open_cowork_theme::{Palette, structural};

    const SHEET: &str = include_str!("../assets/app.css");

    /// The drift gate (02 §8.5): a colour that isn't a token escapes every brand. Words that are no colour of their
    /// own are the reviewed list.
    #[test]
    fn the_style_sheet_has_no_raw_colour() {
        const REVIEWED: [&str; 3] = ["currentColor", "transparent", "none"];
        for (number, line) in SHEET.lines().enumerate() {
            let code = line.split("/*").next().unwrap_or_default();
            for function in [
                "rgb(", "rgba(", "hsl(", "hsla(", "hwb(", "lab(", "lch(", "color(",
            ] {
                assert!(!code.contains(function), "line {}: {function}", number + 1);
            }
            for declaration in code.split([';', '{', '}']) {
                let Some((property, value)) = declaration.split_once(':') else {
                    continue;
                };
                let coloured = ["color", "background", "border", "outline", "fill", "stroke"];
                if !coloured.iter().any(|name| property.contains(name)) {
                    continue;
                }
                for word in value.split(|c: char| !c.is_ascii_alphanumeric() && !"#-".contains(c)) {
                    let raw = open_cowork_theme::Color::parse(word).is_some();
                    assert!(
                        !raw || REVIEWED.contains(&word),
                        "line {}: {word} in {declaration}",
                        number + 1
                    );
                }
            }
        }
    }

    #[test]
    fn the_style_sheet_uses_only_tokens_that_exist() {
        for used in SHEET.split("var(--").skip(1) {
            let used = used.split([')', ',']).next().unwrap();
            let property = format!("--{used}");
            let known = structural::TOKENS.iter().any(|(name, _)| *name == used)
                || Palette::NAMES.iter().any(|(_, name)| *name == property);
            assert!(known, "--{used} is no token");
        }
    }

    #[test]
    fn sizes_that_have_a_token_are_not_written_as_numbers() {
        for (number, line) in SHEET.lines().enumerate() {
            for declaration in line.split([';', '{', '}']) {
                let Some((property, value)) = declaration.split_once(':') else {
                    continue;
                };
                let raw = value.bytes().any(|b| b.is_ascii_digit()) && !value.contains("var(");
                let has_token = match property.trim() {
                    "font-size" | "z-index" => raw,
                    "border-radius" => raw && !matches!(value, "0" | "50%"),
                    "gap" => raw && value.contains("px"),
                    _ => false,
                };
                assert!(!has_token, "line {}: {declaration}", number + 1);
            }
        }
    }
}
