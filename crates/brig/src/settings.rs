//! What an operator may set, and what holds otherwise (`brig.md` §22).

use std::time::Duration;

use types::{Domain, FederationDomainConfig, FederationStrategy};

use crate::{
    password::HashingOptions,
    rules::{
        budget::{BucketLimit, FailedLoginLimit},
        cookies::CookieThrottle,
    },
};

/// The settings of accounts and sessions. Names are wire-server's without `set`, in Rust's spelling.
#[derive(Clone, Debug)]
pub struct BrigSettings {
    /// The backend domain.
    pub federation_domain: Domain,
    /// Which backends are allowed at all: none unless stated.
    pub federation_strategy: FederationStrategy,
    /// Remotes from the configuration file. They cannot be changed by requests.
    pub federation_domain_configs: Vec<FederationDomainConfig>,
    /// `userTokenTimeout`: how long a persistent cookie and its token live; 8 weeks.
    pub user_token_timeout: Duration,
    /// `sessionTokenTimeout`: how long the token of a session cookie lives; a day.
    pub session_token_timeout: Duration,
    /// `accessTokenTimeout`: how long an access token lives; 15 minutes. Told to clients as `expires_in`.
    pub access_token_timeout: Duration,
    /// `setUserCookieRenewAge`: from which age on a cookie gets a successor, and how long it lives on beside it; 14
    /// days.
    pub user_cookie_renew_age: Duration,
    /// `setUserCookieLimit`: cookies of one kind that a user may have; 32.
    pub user_cookie_limit: usize,
    /// `setUserCookieThrottle`: when logins come too fast; 3 000 s deviation, 86 400 s wait.
    pub user_cookie_throttle: CookieThrottle,
    /// `setCookieInsecure`: cookies without `Secure`, for tests over plain HTTP; no.
    pub cookie_insecure: bool,
    /// `setLimitFailedLogins`: how many wrong passwords are forgiven; any number.
    pub limit_failed_logins: Option<FailedLoginLimit>,
    /// `setSuspendInactiveUsers`: after which time without a new cookie an account is suspended; never.
    pub suspend_inactive_users: Option<Duration>,
    /// `setPasswordHashingOptions`: how passwords are hashed.
    pub password_hashing: HashingOptions,
    /// Passwords hashed at the same time; one per core.
    pub password_hashing_parallel: usize,
    /// Passwords that may wait for their turn before others are refused; 256.
    pub password_hashing_queue: usize,
    /// `setPasswordHashingRateLimit.userLimit`: how often the password of one account may be tried; 5 at once, then
    /// one a minute.
    pub password_hashing_user_limit: Option<BucketLimit>,
    /// `setActivationTimeout`: how long an activation code is good; 14 days.
    pub activation_timeout: Duration,
    /// `setDefaultUserLocale`: language of users who chose none; `en`.
    pub default_user_locale: public_api::locale::Locale,
    /// `setSearchSameTeamOnly`: whether team members find their own team alone; no.
    pub search_same_team_only: bool,
    /// `setDisabledAPIVersions`: versions of the client API that are switched off; the one in development.
    pub disabled_api_versions: Vec<public_api::Version>,
}

impl BrigSettings {
    /// The defaults, for that backend domain.
    pub fn new(federation_domain: Domain) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            federation_domain,
            federation_strategy: FederationStrategy::AllowNone,
            federation_domain_configs: Vec::new(),
            user_token_timeout: 56 * DAY,
            session_token_timeout: DAY,
            access_token_timeout: Duration::from_secs(900),
            user_cookie_renew_age: 14 * DAY,
            user_cookie_limit: 32,
            user_cookie_throttle: CookieThrottle { std_dev: Duration::from_secs(3_000), retry_after: DAY },
            cookie_insecure: false,
            limit_failed_logins: None,
            suspend_inactive_users: None,
            password_hashing: HashingOptions::default(),
            password_hashing_parallel: std::thread::available_parallelism().map_or(1, usize::from),
            password_hashing_queue: 256,
            password_hashing_user_limit: Some(BucketLimit { burst: 5, refill: Duration::from_secs(60) }),
            activation_timeout: 14 * DAY,
            default_user_locale: public_api::locale::Locale::EN,
            search_same_team_only: false,
            disabled_api_versions: vec![public_api::DEVELOPMENT],
        }
    }
}
