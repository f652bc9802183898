use models::commit::{Commits, Safeguards};

const ATOMIC: &str = "wholly or not";
const NO_IS_NEVER: &str = "no means never";
const APPENDS: &str = "appends follow the chain";
const EFFECTS: &str = "effects follow the chain";

fn commits(safeguards: Safeguards) -> Commits {
    Commits { safeguards, commits: 3, sweepers: if crate::long() { 2 } else { 1 }, remembered: 3 }
}

#[test]
fn a_commit_happens_wholly_or_not_and_in_order() {
    crate::holds(commits(Safeguards::ALL));
}

/// With a head that remembers fewer versions some outcomes cannot be told, but nothing that is told is wrong.
#[test]
fn a_short_memory_tells_nothing_wrong() {
    crate::holds(Commits { remembered: 1, ..commits(Safeguards::ALL) });
}

#[test]
fn without_help_appends_overtake_each_other() {
    crate::falls(commits(Safeguards { help: false, ..Safeguards::ALL }), &[APPENDS], &[EFFECTS]);
}

#[test]
fn without_the_fence_a_no_turns_out_a_yes() {
    let without = commits(Safeguards { fence: false, ..Safeguards::ALL });
    crate::falls(without, &[NO_IS_NEVER, ATOMIC], &[APPENDS, EFFECTS]);
}

#[test]
fn without_timestamps_a_late_effect_wins() {
    crate::falls(commits(Safeguards { timestamps: false, ..Safeguards::ALL }), &[EFFECTS], &[]);
}

#[test]
fn without_the_intent_before_it_a_crash_leaves_half_a_commit() {
    let without = commits(Safeguards { intent_first: false, ..Safeguards::ALL });
    crate::falls(without, &[ATOMIC], &[APPENDS, EFFECTS]);
}
