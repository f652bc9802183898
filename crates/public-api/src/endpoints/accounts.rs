//! Accounts (`brig.md` §4, §7, §19).

use crate::{
    Created, Empty, Json,
    access::{Internal, UserToken},
    email::EmailAddress,
    error::users::*,
    parts::query,
    user::{GetActivationCodeResp, HandleUpdate, NewUser, SelfProfile},
};

endpoints! {
    Brig;

    /// Makes an account that is activated at once if it has an e-mail address.
    CreateUserNoVerify "createUserNoVerify" = POST "/i/users" [0..] {
        auth: Internal,
        body: Json<NewUser>,
        answer: Created<SelfProfile>,
        errors: [
            ALLOWLIST_ERROR, INVALID_INVITATION_CODE, MISSING_IDENTITY, USER_KEY_EXISTS,
            INVALID_ACTIVATION_CODE_WRONG_USER, INVALID_ACTIVATION_CODE_WRONG_CODE, INVALID_EMAIL, BLACKLISTED_EMAIL,
            TOO_MANY_TEAM_MEMBERS, USER_CREATION_RESTRICTED, EPHEMERAL_USER_CREATION_DISABLED,
        ],
    }

    /// The code that was mailed to an address to prove it.
    GetUserActivationCode "iGetUserActivationCode" = GET "/i/users/activation-code" [0..] {
        auth: Internal,
        query: EmailQuery,
        answer: Json<GetActivationCodeResp>,
        errors: [ACTIVATION_KEY_NOT_FOUND],
    }

    /// The own profile.
    GetSelf "get-self" = GET "/self" [0..] {
        auth: UserToken,
        answer: Json<SelfProfile>,
        errors: [USER_NOT_FOUND],
    }

    /// Chooses a handle. Having it already is no error.
    ChangeHandle "change-handle" = PUT "/self/handle" [0..] {
        auth: UserToken,
        body: Json<HandleUpdate>,
        answer: Empty<200>,
        errors: [INVALID_HANDLE, HANDLE_EXISTS, NO_IDENTITY, HANDLE_MANAGED_BY_SCIM],
    }
}

query! {
    /// An e-mail address.
    pub struct EmailQuery {
        /// The address.
        pub email: EmailAddress,
    }
}
