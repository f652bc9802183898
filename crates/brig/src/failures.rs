//! Which entry of the catalogue each error becomes.

use std::time::Duration;

use public_api::{
    Failure,
    error::{auth, federation, users},
};

use crate::{
    accounts::{HandleError, RegisterError},
    limits,
    policy::PolicyError,
    rules::{access::Refused, login::Closed, registration::Unwelcome},
    sessions::{AccessError, LoginError},
};

/// Whole seconds for `Retry-After`, rounded up: who comes a moment too early comes in vain.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Self {
        let entry = match closed {
            Closed::Ephemeral => &auth::ACCOUNT_EPHEMERAL,
            Closed::NoCredentials => &auth::BAD_CREDENTIALS,
            Closed::Pending => &auth::ACCOUNT_PENDING,
            Closed::Suspended => &auth::ACCOUNT_SUSPENDED,
        };
        entry.failure()
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Closed(closed) => closed.into(),
            LoginError::Credentials => auth::BAD_CREDENTIALS.failure(),
            LoginError::Overloaded(_) => {
                auth::RATE_LIMIT_EXCEEDED.failure().retry_after(seconds(limits::OVERLOAD_RETRY))
            }
            LoginError::Store(trouble) => trouble.into(),
            LoginError::TooFrequent(wait) => auth::LOGINS_TOO_FREQUENT.failure().retry_after(seconds(wait)),
            LoginError::TooManyFailures(wait) => auth::TOO_MANY_FAILED_LOGINS.failure().retry_after(seconds(wait)),
            LoginError::TriedTooOften(wait) => auth::RATE_LIMIT_EXCEEDED.failure().retry_after(seconds(wait)),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let entry = match refused {
            Refused::Expired => &auth::TOKEN_EXPIRED,
            Refused::Falsified => &auth::TOKEN_FALSIFIED,
            Refused::Invalid => &auth::TOKEN_INVALID,
            Refused::Malformed => &auth::MALFORMED_TOKEN,
            Refused::Mismatch => &auth::TOKEN_MISMATCH,
            Refused::NoCookie => &auth::MISSING_COOKIE,
            Refused::NoCookieAndToken => &auth::MISSING_COOKIE_AND_TOKEN,
            Refused::Scheme => &auth::INVALID_AUTHORIZATION_SCHEME,
        };
        entry.failure()
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused(refused) => refused.into(),
            AccessError::Store(trouble) => trouble.into(),
        }
    }
}

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Code => users::INVALID_ACTIVATION_CODE_WRONG_CODE.failure(),
            RegisterError::KeyExists => users::USER_KEY_EXISTS.failure(),
            RegisterError::Overloaded(_) => {
                auth::RATE_LIMIT_EXCEEDED.failure().retry_after(seconds(limits::OVERLOAD_RETRY))
            }
            RegisterError::Store(trouble) => trouble.into(),
            RegisterError::Unwelcome(Unwelcome::InvalidInvitation) => users::INVALID_INVITATION_CODE.failure(),
            RegisterError::Unwelcome(Unwelcome::MissingIdentity) => users::MISSING_IDENTITY.failure(),
            RegisterError::Unwelcome(Unwelcome::Teams) => users::USER_CREATION_RESTRICTED.failure(),
        }
    }
}

impl From<HandleError> for Failure {
    fn from(error: HandleError) -> Self {
        match error {
            HandleError::Managed => users::HANDLE_MANAGED_BY_SCIM.failure(),
            HandleError::NoIdentity => users::NO_IDENTITY.failure(),
            HandleError::Store(trouble) => trouble.into(),
            HandleError::Taken => users::HANDLE_EXISTS.failure(),
        }
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Refused(refused) => federation::FEDERATION_UNEXPECTED_WAI_ERROR.because(refused.to_string()),
            PolicyError::Store(trouble) => trouble.into(),
        }
    }
}
