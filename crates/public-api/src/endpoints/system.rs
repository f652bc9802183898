//! What a backend says about itself.

use types::Domain;

use crate::{
    Empty, Json,
    access::{Anyone, Internal},
    shape::shape,
};

endpoints! {
    Brig;

    /// Which versions of the client API this backend speaks, and what it is.
    GetVersion "get-version" = GET "/api-version" [0..] {
        auth: Anyone,
        limit: Unlimited,
        answer: Json<VersionInfo>,
    }
}

shape! {
    /// What a client learns before anything else (`client-flows.md` §2).
    pub struct VersionInfo {
        /// The stable versions that are not disabled, ascending.
        pub supported: Vec<u16>,
        /// The versions in development that are not disabled.
        pub development: Vec<u16>,
        /// Whether federation is switched on.
        pub federation: bool,
        /// The backend domain.
        pub domain: Domain,
    }
}

impl crate::Shape for VersionInfo {}

/// Health of the process.
pub mod process {
    use super::{Empty, Internal};

    endpoints! {
        Process;

        /// Whether the process is up.
        GetStatus "i_status" = GET "/i/status" [0..] {
            auth: Internal,
            answer: Empty<200>,
        }

        /// Whether the process is up.
        HeadStatus "head-i_status" = HEAD "/i/status" [0..] {
            auth: Internal,
            answer: Empty<200>,
        }
    }
}
