//! The text of `ferrule.toml`.

use std::fmt::Write;

use super::draft::Setting;

/// The sections in the order of the text; options without one come first.
const SECTIONS: [&str; 6] = ["", "edge", "acme", "federation", "federation.limits", "log"];

pub(super) fn write(settings: &[Setting]) -> String {
    let mut text =
        String::from("# Made of Helm values of wire-server. Above each option stands what it was made of.\n");
    for section in SECTIONS {
        let mut of_it = settings.iter().filter(|setting| setting.section == section).peekable();
        if of_it.peek().is_none() {
            continue;
        }
        text.push('\n');
        if !section.is_empty() {
            line(&mut text, format_args!("[{section}]"));
        }
        for Setting { key, value, comment, .. } in of_it {
            line(&mut text, format_args!("# {comment}"));
            line(&mut text, format_args!("{key} = {value}"));
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string");
}
