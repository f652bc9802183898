//! Lists whose length is part of their type.

use federation_api::{
    LengthError,
    list::{Chunk, NonEmpty},
};
use proptest::prelude::*;

#[test]
fn an_empty_list_is_refused() {
    assert_eq!(NonEmpty::<u8>::try_from(vec![]), Err(LengthError { length: 0, min: 1, max: usize::MAX }));
    assert_eq!(NonEmpty::one(7).into_vec(), [7]);
}

proptest! {
    #[test]
    fn pieces_are_the_whole_in_order(length in 0..4_000_usize) {
        let whole: Vec<usize> = (0..length).collect();
        let pieces = Chunk::of(whole.clone());
        prop_assert_eq!(pieces.len(), length.div_ceil(1_000));
        prop_assert!(pieces.iter().all(|piece| (1..=1_000).contains(&piece.len())));
        prop_assert_eq!(pieces.into_iter().flatten().collect::<Vec<_>>(), whole);
    }
}
