//! Options of a document, asked for by their paths.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use serde_json::{Map, Value};

/// What is wrong with an option. Never quotes a value: it may be a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The paths of the options, as operators write them: `tls.verify_depth`.
    pub options: Vec<String>,
    /// What is wrong, in words.
    pub problem: String,
}

impl Problem {
    pub(crate) fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { options: vec![option.into()], problem: problem.into() }
    }

    pub(crate) fn of<S: Into<String>>(options: impl IntoIterator<Item = S>, problem: impl Into<String>) -> Self {
        Self { options: options.into_iter().map(Into::into).collect(), problem: problem.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.options.join(", "), self.problem)
    }
}

/// Asks a document for options, and remembers which it was asked for and what was wrong.
pub(crate) struct Options<'a> {
    document: &'a Map<String, Value>,
    asked: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Options<'a> {
    pub fn of(document: &'a Map<String, Value>) -> Self {
        Self { document, asked: RefCell::default(), problems: RefCell::default() }
    }

    /// What stands at a path; nothing where it is not set, or set to null.
    pub fn value(&self, path: &str) -> Option<&'a Value> {
        self.present(path).filter(|value| !value.is_null())
    }

    /// What stands at a path, a null as well.
    pub fn present(&self, path: &str) -> Option<&'a Value> {
        self.asked.borrow_mut().insert(path.to_owned());
        let mut steps = path.split('.');
        let first = self.document.get(steps.next()?)?;
        steps.try_fold(first, |at, step| at.as_object()?.get(step))
    }

    /// A text; an empty one counts as none, as it does in templates of Helm. Numbers are taken as they are written.
    pub fn text(&self, path: &str) -> Option<String> {
        match self.value(path)? {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            other => self.wrong(path, "a text", other),
        }
    }

    /// A truth value.
    pub fn flag(&self, path: &str) -> Option<bool> {
        match self.value(path)? {
            Value::Bool(flag) => Some(*flag),
            other => self.wrong(path, "true or false", other),
        }
    }

    /// A whole number from `least` to `most`, as a number or in digits.
    pub fn number(&self, path: &str, least: u64, most: u64) -> Option<u64> {
        let number = match self.value(path)? {
            Value::Number(number) => number.as_u64(),
            Value::String(digits) => digits.parse().ok(),
            other => return self.wrong(path, "a whole number", other),
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.problem(Problem::new(path, format!("expected a whole number from {least} to {most}")));
        }
        number
    }

    /// Something that is written as a text, such as a domain.
    pub fn parsed<T>(&self, path: &str, what: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: fmt::Display,
    {
        self.text(path)?
            .trim()
            .parse()
            .map_err(|error| self.problem(Problem::new(path, format!("this is no {what}: {error}"))))
            .ok()
    }

    /// A list.
    pub fn list(&self, path: &str) -> Option<&'a [Value]> {
        match self.value(path)? {
            Value::Array(list) => Some(list),
            other => self.wrong(path, "a list", other),
        }
    }

    /// Says that something is wrong.
    pub fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Counts as asked for what another was asked for.
    pub fn adopt(&self, other: Self) {
        self.asked.borrow_mut().append(&mut other.asked.into_inner());
    }

    fn wrong<T>(&self, path: &str, wanted: &str, found: &Value) -> Option<T> {
        self.problem(Problem::new(path, format!("expected {wanted}, found {}", kind(found))));
        None
    }

    /// The paths of what is set and was never asked for, each as high as nothing below was asked for either; with them
    /// what was wrong.
    pub fn finish(self) -> (Vec<String>, Vec<Problem>) {
        let mut unused = Vec::new();
        let asked = self.asked.into_inner();
        for (key, value) in self.document {
            unasked(&asked, key, value, &mut unused);
        }
        (unused, self.problems.into_inner())
    }
}

fn unasked(asked: &BTreeSet<String>, path: &str, value: &Value, unused: &mut Vec<String>) {
    if asked.contains(path) {
        return;
    }
    let below = format!("{path}.");
    let known = asked.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below));
    match value {
        Value::Object(map) if known => {
            for (key, value) in map {
                unasked(asked, &format!("{below}{key}"), value, unused);
            }
        }
        Value::Null => {}
        Value::Object(map) if map.is_empty() => {}
        _ => unused.push(path.to_owned()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
