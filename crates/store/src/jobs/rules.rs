//! What becomes of a job after a step: plain rules.

use std::time::Duration;

use serde_json::Value as Json;
use types::Timestamp;

use super::{
    kind::{Failed, Step},
    tables::{JobRow, Staged, State},
};
use crate::limits;

/// How a step ended.
pub(super) enum Outcome {
    Ended(Result<Step<Json>, Failed>),
    /// It is not due yet.
    Early(Timestamp),
    /// The process has no work of that kind; another, newer one may.
    Unknown,
    /// Its entry says nothing that this release understands, for this reason.
    Unreadable(String),
}

/// Where a job goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// It is remembered until then.
    Done(Timestamp),
    /// It is shown to the operator.
    Parked,
    /// It is due then.
    Waiting(Timestamp),
}

/// A job as it is when it is taken in, and when it is due.
pub(super) fn fresh(staged: Staged, now: Timestamp) -> (JobRow, Timestamp) {
    let row = JobRow {
        kind: staged.kind,
        args: staged.args,
        cursor: None,
        state: State::Waiting,
        failures: 0,
        error: None,
        since: now.micros(),
    };
    (row, staged.at.map_or(now, Timestamp::from_micros))
}

/// A job whose entry says nothing that this release understands: it is kept as it is, for the operator and a newer one.
pub(super) fn unreadable(body: &[u8], error: &str, now: Timestamp) -> JobRow {
    let args = Json::String(String::from_utf8_lossy(body).into_owned());
    let (mut row, _) = fresh(Staged { kind: String::new(), args, at: None }, now);
    park_unread(&mut row, error);
    row
}

fn park_unread(row: &mut JobRow, error: &str) {
    row.state = State::Parked;
    row.failures = limits::JOB_FAILURES;
    row.error = Some(cut(format!("it cannot be read: {error}")));
}

/// Reads a job once more that could not be read when it was taken in: whoever does that now may be a newer release. Says
/// what is to become of it where there is no step to run.
pub(super) fn read_again(row: &mut JobRow, now: Timestamp) -> Option<Outcome> {
    let Json::String(body) = &row.args else { return None };
    if !row.kind.is_empty() {
        return None;
    }
    match serde_json::from_str(body) {
        Ok(staged) => {
            let (read, due) = fresh(staged, now);
            *row = JobRow { since: row.since, ..read };
            (due > now).then_some(Outcome::Early(due))
        }
        Err(error) => Some(Outcome::Unreadable(error.to_string())),
    }
}

/// Writes into the row what a step came to, and says where the job goes. `jitter` is between 0 and 1.
pub(super) fn settle(row: &mut JobRow, outcome: Outcome, now: Timestamp, jitter: f64) -> Fate {
    let failed = match outcome {
        Outcome::Early(due) => return Fate::Waiting(due),
        Outcome::Unknown => return Fate::Waiting(now + limits::JOB_UNKNOWN),
        Outcome::Unreadable(error) => {
            park_unread(row, &error);
            return Fate::Parked;
        }
        Outcome::Ended(Ok(Step::Done)) => {
            *row =
                JobRow { args: Json::Null, cursor: None, state: State::Done, failures: 0, error: None, ..row.clone() };
            return Fate::Done(now + limits::JOB_MEMORY);
        }
        Outcome::Ended(Ok(Step::Next(cursor))) if cursor.to_string().len() <= limits::JOB_CURSOR => {
            *row = JobRow { cursor: Some([cursor]), failures: 0, error: None, ..row.clone() };
            return Fate::Waiting(now);
        }
        Outcome::Ended(Ok(Step::Next(_))) => Failed::new("its cursor is too large"),
        Outcome::Ended(Err(failed)) => failed,
    };
    row.failures += 1;
    row.error = Some(cut(failed.0));
    if row.failures >= limits::JOB_FAILURES {
        row.state = State::Parked;
        return Fate::Parked;
    }
    Fate::Waiting(now + pause(row.failures, jitter))
}

/// A parked job as it is when it is to be tried again.
pub(super) fn revived(row: JobRow) -> JobRow {
    JobRow { state: State::Waiting, failures: 0, ..row }
}

/// Twice as long after each failure, and up to half as much again, so that jobs that failed together part.
fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = limits::JOB_PAUSE.saturating_mul(1 << (failures - 1).min(20));
    doubled.min(limits::JOB_PAUSE_MOST).mul_f64(1.0 + jitter / 2.0)
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(limits::JOB_ERROR);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn row(failures: u32) -> JobRow {
        let staged = Staged { kind: "k".into(), args: json!([1]), at: None };
        JobRow { failures, cursor: Some([json!(7)]), error: Some("before".into()), ..fresh(staged, NOW).0 }
    }

    fn failed() -> Outcome {
        Outcome::Ended(Err(Failed::new("no")))
    }

    #[test]
    fn a_job_is_due_at_once_or_when_it_was_staged_for() {
        let staged = |at| Staged { kind: "k".into(), args: Json::Null, at };
        assert_eq!(fresh(staged(None), NOW).1, NOW);
        assert_eq!(fresh(staged(Some(5)), NOW).1, Timestamp::from_micros(5));
    }

    #[test]
    fn what_ended_is_written_down() {
        let mut done = row(3);
        assert_eq!(settle(&mut done, Outcome::Ended(Ok(Step::Done)), NOW, 0.0), Fate::Done(NOW + limits::JOB_MEMORY));
        assert_eq!((done.state, done.args, done.cursor, done.error), (State::Done, Json::Null, None, None));

        let mut next = row(3);
        assert_eq!(settle(&mut next, Outcome::Ended(Ok(Step::Next(json!(8)))), NOW, 0.0), Fate::Waiting(NOW));
        assert_eq!((next.cursor, next.failures, next.error), (Some([json!(8)]), 0, None));
    }

    #[test]
    fn failures_wait_longer_each_time_and_the_twentieth_parks() {
        let mut job = row(0);
        let mut waited = Vec::new();
        let fate = loop {
            match settle(&mut job, failed(), NOW, 0.0) {
                Fate::Waiting(at) => waited.push(at.since(NOW).as_secs()),
                fate => break fate,
            }
        };
        assert_eq!(fate, Fate::Parked);
        assert_eq!(waited[..6], [1, 2, 4, 8, 16, 32]);
        assert_eq!((waited.len(), waited.last()), (19, Some(&3600)));
        let shown = (job.state, job.failures, job.cursor.clone());
        assert_eq!(shown, (State::Parked, 20, Some([json!(7)])), "the cursor stays");
        let again = revived(job);
        assert_eq!((again.state, again.failures, again.cursor), (State::Waiting, 0, Some([json!(7)])));
        assert_eq!(pause(1, 1.0), Duration::from_millis(1500));
    }

    #[test]
    fn a_kind_that_is_not_known_waits_and_is_no_failure() {
        let mut job = row(3);
        let before = job.clone();
        assert_eq!(settle(&mut job, Outcome::Unknown, NOW, 0.0), Fate::Waiting(NOW + limits::JOB_UNKNOWN));
        assert_eq!(job, before);
    }

    #[test]
    fn a_job_that_could_not_be_read_is_read_again_when_it_is_revived() {
        let since = Timestamp::from_seconds(5);
        let parked = |body: &str| revived(unreadable(body.as_bytes(), "why", since));
        let mut later = parked(r#"{"kind":"k","args":[1],"at":1800000000000001}"#);
        assert!(matches!(read_again(&mut later, NOW), Some(Outcome::Early(due)) if due > NOW));
        let mut due = parked(r#"{"kind":"k","args":[1]}"#);
        assert!(read_again(&mut due, NOW).is_none());
        let read = (due.kind.as_str(), &due.args, due.state, due.failures, due.since);
        assert_eq!(read, ("k", &json!([1]), State::Waiting, 0, since.micros()));
        assert!(read_again(&mut due, NOW).is_none(), "once");

        let mut never = parked("{}");
        let Some(outcome) = read_again(&mut never, NOW) else { panic!("nobody can read that") };
        assert_eq!(settle(&mut never, outcome, NOW, 0.0), Fate::Parked);
        assert_eq!((never.state, never.args), (State::Parked, json!("{}")));
        assert!(never.error.is_some_and(|error| error.contains("it cannot be read: missing field")));
        let mut text = row(0);
        text.args = json!("{}");
        assert!(read_again(&mut text, NOW).is_none(), "a job with a text for its arguments");
    }

    #[test]
    fn what_grows_without_bound_is_cut_or_refused() {
        let mut job = row(0);
        let vast = Outcome::Ended(Ok(Step::Next(json!("x".repeat(limits::JOB_CURSOR)))));
        assert!(matches!(settle(&mut job, vast, NOW, 0.0), Fate::Waiting(at) if at > NOW));
        assert_eq!(job.cursor, Some([json!(7)]));
        settle(&mut job, Outcome::Ended(Err(Failed::new("é".repeat(limits::JOB_ERROR)))), NOW, 0.0);
        assert_eq!(job.error.map(|text| text.len()), Some(limits::JOB_ERROR));
    }
}
