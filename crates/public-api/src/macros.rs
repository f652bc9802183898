//! The form in which endpoints are declared, so that a module of them reads like a table.

/// Declares endpoints and the list of them.
///
/// ```text
/// endpoints! {
///     Brig;
///
///     /// What it does, one sentence.
///     GetUserQualified "get-user-qualified" = GET "/users/{domain}/{id}" [0..] {
///         auth: UserToken,            // who may call
///         limit: User,                // default: Address without a token, User with one, Unlimited for /i
///         path: (Domain, UserId),     // default: ()
///         query: SomeQuery,           // default: NoQuery
///         body: Json<Something>,      // default: NoBody
///         max_body: 1024,             // default: limits::JSON_BODY
///         answer: Json<UserProfile>,
///         errors: [USER_NOT_FOUND],   // default: none
///     }
/// }
/// ```
macro_rules! endpoints {
    ($component:ident; $(
        #[doc = $summary:literal]
        $(#[doc = $more:literal])*
        $name:ident $id:literal = $method:ident $path:literal [$from:literal .. $($until:literal)?] {
            auth: $auth:ty,
            $(limit: $limit:ident,)?
            $(path: $parts:ty,)?
            $(query: $query:ty,)?
            $(body: $body:ty,)?
            $(max_body: $max_body:expr,)?
            answer: $answer:ty,
            $(errors: [$($error:path),* $(,)?],)?
        }
    )*) => {
        $(
            #[doc = $summary]
            $(#[doc = $more])*
            #[doc = concat!("\n\n`", stringify!($method), " ", $path, "`")]
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl $crate::Endpoint for $name {
                const ID: &'static str = $id;
                const METHOD: http::Method = http::Method::$method;
                const PATH: &'static str = $path;
                const VERSIONS: $crate::Versions = or!([$($crate::Versions::between($from, $until))?] $crate::Versions::from($from));
                const SUMMARY: &'static str = concat!($summary $(, $more)*);
                const COMPONENT: $crate::Component = $crate::Component::$component;
                const LIMIT: $crate::LimitClass = or!([$($crate::LimitClass::$limit)?] <$auth as $crate::Access>::LIMIT);
                const MAX_BODY: usize = or!([$($max_body)?] $crate::limits::JSON_BODY);
                const ERRORS: &'static [&'static $crate::ErrorEntry] = &[$($(&$error),*)?];
                type Auth = $auth;
                type Path = or_type!([$($parts)?] ());
                type Query = or_type!([$($query)?] $crate::NoQuery);
                type Body = or_type!([$($body)?] $crate::NoBody);
                type Answer = $answer;
            }
        )*

        /// The endpoints of this module.
        pub static ALL: &[$crate::EndpointInfo] = &[$(<$name as $crate::Endpoint>::INFO),*];
    };
}

/// The expression in brackets, or the one behind them if the brackets are empty.
macro_rules! or {
    ([] $default:expr) => {
        $default
    };
    ([$given:expr] $default:expr) => {
        $given
    };
}

/// The type in brackets, or the one behind them if the brackets are empty.
macro_rules! or_type {
    ([] $default:ty) => {
        $default
    };
    ([$given:ty] $default:ty) => {
        $given
    };
}
