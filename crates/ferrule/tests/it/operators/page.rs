//! A page for people whose fenced blocks can be carried out.
//!
//! The first line of a block, a comment that readers see, says where it belongs:
//!
//! - `sh`: `# root@example.com` (or several, with commas): who types it, on which machine;
//! - `zone`: `; zone example.com`: records of that zone;
//! - `toml`, `yaml`, `nginx`: `# example.com:/etc/ferrule/federator.toml`: the contents of that file on that machine;
//! - `text`, right after `sh`: what is shown; `…` stands for anything within a line, and on a line of its own for any
//!   lines. A last line `exit status N` tells how the commands end, where that is not with 0.
//!
//! There are no other blocks: what cannot be carried out is refused.

use std::fmt;

/// What a page wants done, in its order.
#[derive(Debug)]
pub struct Step {
    /// The line of the page on which it begins.
    pub line: usize,
    /// What.
    pub what: What,
}

/// What is to be done.
#[derive(Debug)]
pub enum What {
    /// A file is written.
    File { machine: String, path: String, text: String },
    /// Commands are typed.
    Shell { places: Vec<Seat>, script: String, shown: Option<Shown> },
    /// Records are put into a zone.
    Zone { zone: String, records: String },
}

/// Who sits at which machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The user.
    pub user: String,
    /// The machine.
    pub machine: String,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.machine)
    }
}

/// What commands show.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    lines: Vec<String>,
    /// How they end.
    pub status: i32,
}

/// The steps of a page.
///
/// # Errors
/// A block that cannot be carried out, in words.
pub fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, opening)) = lines.next() {
        let Some(info) = opening.trim_start().strip_prefix("```") else { continue };
        let told = |problem: &str| format!("line {line}: {problem}");
        let mut body = Vec::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, text)) => body.push(text),
                None => return Err(told("the block does not end")),
            }
        }
        if info == "text" {
            let Some(Step { what: What::Shell { shown: shown @ None, .. }, .. }) = steps.last_mut() else {
                return Err(told("a `text` block shows what the `sh` block before it printed, and there is none"));
            };
            *shown = Some(Shown::of(&body));
            continue;
        }
        let what = step(info, &body).ok_or_else(|| {
            told("this block is of no kind that is carried out, or its first line does not say where it belongs")
        })?;
        steps.push(Step { line, what });
    }
    Ok(steps)
}

fn step(info: &str, body: &[&str]) -> Option<What> {
    let (first, rest) = body.split_first()?;
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    match info {
        "sh" => {
            let places = first.strip_prefix("# ")?.split(", ").map(seat).collect::<Option<Vec<Seat>>>()?;
            Some(What::Shell { places, script: joined(rest), shown: None })
        }
        "zone" => {
            let zone = first.strip_prefix("; zone ")?.to_owned();
            Some(What::Zone { zone, records: joined(rest) })
        }
        "toml" | "yaml" | "nginx" => {
            let (machine, path) = first.strip_prefix("# ")?.split_once(':')?;
            let whole = path.starts_with('/') && !path.contains(' ') && is_name(machine);
            whole.then(|| What::File { machine: machine.to_owned(), path: path.to_owned(), text: joined(body) })
        }
        _ => None,
    }
}

fn seat(text: &str) -> Option<Seat> {
    let (user, machine) = text.split_once('@')?;
    (is_name(user) && is_name(machine)).then(|| Seat { user: user.to_owned(), machine: machine.to_owned() })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

const ANYTHING: char = '…';

impl Shown {
    fn of(lines: &[&str]) -> Self {
        let mut lines: Vec<String> = lines.iter().map(|line| line.trim_end().to_owned()).collect();
        let status = lines.last().and_then(|line| line.strip_prefix("exit status ")?.parse().ok());
        if status.is_some() {
            lines.pop();
        }
        Self { lines, status: status.unwrap_or(0) }
    }

    /// Whether that is what was printed.
    pub fn is(&self, printed: &str) -> bool {
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        matches(&self.lines, &printed, |line| line.chars().eq([ANYTHING]), |pattern, line| in_line(pattern, line))
    }
}

fn in_line(pattern: &str, line: &str) -> bool {
    let (pattern, line): (Vec<char>, Vec<char>) = (pattern.chars().collect(), line.chars().collect());
    matches(&pattern, &line, |c| *c == ANYTHING, |a, b| a == b)
}

/// Matches with a wildcard for any number of elements. The last wildcard is the only one worth coming back to.
fn matches<P, T>(pattern: &[P], text: &[T], any: impl Fn(&P) -> bool, same: impl Fn(&P, &T) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(wildcard), _) if any(wildcard) => {
                back = Some((p + 1, t));
                p += 1;
            }
            (Some(expected), Some(found)) if same(expected, found) => (p, t) = (p + 1, t + 1),
            _ => match back {
                Some((after, from)) if from < text.len() => {
                    back = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Shown {
        Shown::of(&text.lines().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_shown_is_compared_as_far_as_it_is_given() {
        for (pattern, printed, same) in [
            ("one\ntwo", "one\ntwo\n", true),
            ("one\ntwo", "one\ntwo\nthree", false),
            ("one\n…\nfour", "one\ntwo\nthree\nfour", true),
            ("…\nfour", "four", true),
            ("…\nfour\n…", "four\nfour\nfive", true),
            ("…\nfour", "five", false),
            ("on … of …, left", "on 3 of 4, left", true),
            ("on … of", "on 3 of 4", false),
            ("", "", true),
            ("a  \n", "a", true),
        ] {
            assert_eq!(shown(pattern).is(printed), same, "{pattern:?} and {printed:?}");
        }
        assert_eq!((shown("bad\nexit status 2").status, shown("bad\nexit status 2").is("bad")), (2, true));
    }

    #[test]
    fn blocks_are_read_and_what_cannot_be_carried_out_is_refused() {
        let page = "Type:\n\n```sh\n# root@a.example, me@b.example\nls\n```\n```text\nfile\n```\n\n\
                    ```toml\n# a.example:/etc/x.toml\na = 1\n```\n```zone\n; zone a.example\n@ A 192.0.2.1\n```\n";
        let steps = steps(page).unwrap();
        assert_eq!(steps.iter().map(|step| step.line).collect::<Vec<_>>(), [3, 11, 15]);
        let What::Shell { places, script, shown: Some(_) } = &steps[0].what else { panic!("{steps:?}") };
        assert_eq!((places.len(), places[1].to_string().as_str(), script.as_str()), (2, "me@b.example", "ls\n"));
        let What::File { text, .. } = &steps[1].what else { panic!("{steps:?}") };
        assert_eq!(text, "# a.example:/etc/x.toml\na = 1\n");
        for refused in [
            "```\nls\n```",
            "```sh\nls\n```",
            "```sh\n# as root\nls\n```",
            "```sh no-test\n# root@a.example\nls\n```",
            "```bash\n# root@a.example\nls\n```",
            "```toml\na = 1\n```",
            "```text\nalone\n```",
            "```sh\n# root@a.example\nls\n```\n```text\na\n```\n```text\nb\n```",
            "```sh\n# root@a.example\nls\n",
        ] {
            assert!(super::steps(refused).is_err(), "{refused}");
        }
    }
}
