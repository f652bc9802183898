//! The id of the conversation of two users.

use federation_api::{conversation::one2one_conversation_id, user::BaseProtocolTag};
use proptest::prelude::*;
use types::{Qualified, UserId};

fn user(id: &str, domain: &str) -> Qualified<UserId> {
    Qualified::new(id.parse().unwrap(), domain.parse().unwrap())
}

#[test]
fn known_ids() {
    let pairs = [
        (
            ["ac41a202-2555-11ec-9341-00163e5e6c00", "d389b370-5f7d-4efd-9f9a-8d525540ad93"],
            "02510241-f366-5389-8492-f10d223ba9da@a.example.com",
            "3cb33267-e947-5fef-ab3c-1f8a6d2e8fcc@b.example.com",
        ),
        (
            ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"],
            "40991bd5-6060-5039-8b30-518837c28147@a.example.com",
            "8bc926f2-6f9b-5077-a18a-b3e626dce601@a.example.com",
        ),
    ];
    for ([a, b], proteus, mls) in pairs {
        let (a, b) = (user(a, "a.example.com"), user(b, "b.example.com"));
        for (protocol, expected) in [(BaseProtocolTag::Proteus, proteus), (BaseProtocolTag::Mls, mls)] {
            assert_eq!(one2one_conversation_id(protocol, &a, &b).to_string(), expected);
            assert_eq!(one2one_conversation_id(protocol, &b, &a).to_string(), expected);
        }
    }
}

proptest! {
    #[test]
    fn both_sides_compute_the_same(a: u128, b: u128, local: bool, mls: bool) {
        let protocol = if mls { BaseProtocolTag::Mls } else { BaseProtocolTag::Proteus };
        let a = user(&uuid::Uuid::from_u128(a).to_string(), "a.example");
        let b = user(&uuid::Uuid::from_u128(b).to_string(), if local { "a.example" } else { "b.example" });
        let id = one2one_conversation_id(protocol, &a, &b);
        prop_assert_eq!(&id, &one2one_conversation_id(protocol, &b, &a));
        prop_assert!(id.domain == a.domain || id.domain == b.domain);
        prop_assert_eq!(id.id.0.get_version_num(), 5);
        prop_assert_eq!(id.id.0.get_variant(), uuid::Variant::RFC4122);
    }
}
