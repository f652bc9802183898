use models::log::{Log, Safeguards};

const NO_SKIP: &str = "nothing is skipped";
const ORDER: &str = "acknowledged before begun is smaller";
const PREV: &str = "prev is true";

fn log(safeguards: Safeguards) -> Log {
    let long = crate::long();
    let writes = if long { vec![2, 2] } else { vec![2, 1] };
    Log { safeguards, clocks: vec![1, 2], writes, pages: if long { 1 } else { 2 } }
}

#[test]
fn a_cursor_skips_nothing() {
    crate::holds(log(Safeguards::ALL));
}

#[test]
fn without_the_look_entries_are_skipped() {
    crate::falls(log(Safeguards { look: false, ..Safeguards::ALL }), &[NO_SKIP, ORDER, PREV], &[]);
}

#[test]
fn with_a_look_before_the_write_is_done_entries_are_skipped() {
    crate::falls(log(Safeguards { write_before_look: false, ..Safeguards::ALL }), &[NO_SKIP, ORDER, PREV], &[]);
}

#[test]
fn with_one_read_entries_are_skipped() {
    crate::falls(log(Safeguards { two_reads: false, ..Safeguards::ALL }), &[NO_SKIP], &[]);
}

#[test]
fn without_the_repair_entries_are_skipped() {
    crate::falls(log(Safeguards { repair: false, ..Safeguards::ALL }), &[NO_SKIP], &[]);
}
