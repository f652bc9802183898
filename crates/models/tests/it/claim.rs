use models::claim::{Claims, Safeguards, Wish};

const ONE_OWNER: &str = "one owner";
const FOUND: &str = "who has it is found";

fn claims(safeguards: Safeguards) -> Claims {
    let mut devices = vec![(0, Wish::Take), (0, Wish::Leave), (1, Wish::Take), (0, Wish::Take)];
    if crate::long() {
        devices.extend([(1, Wish::Leave)]);
    }
    Claims { safeguards, devices, tries: if crate::long() { 3 } else { 2 } }
}

#[test]
fn a_name_has_one_owner() {
    crate::holds(claims(Safeguards::ALL));
}

#[test]
fn without_the_touch_two_have_it() {
    crate::falls(claims(Safeguards { touch: false, ..Safeguards::ALL }), &[ONE_OWNER, FOUND], &[]);
}

#[test]
fn with_the_own_row_opened_late_two_have_it() {
    crate::falls(claims(Safeguards { own_row_first: false, ..Safeguards::ALL }), &[ONE_OWNER, FOUND], &[]);
}

#[test]
fn with_a_claim_that_is_not_taken_again_two_have_it() {
    crate::falls(claims(Safeguards { retake: false, ..Safeguards::ALL }), &[ONE_OWNER, FOUND], &[]);
}
