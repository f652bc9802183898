//! How an RPC is declared.

/// Declares RPCs: a marker type with its [`Rpc`](crate::Rpc) implementation each, and `RPCS`, the list of them.
///
/// `Marker = "name" VERSIONS, KIND (Request) -> Answer;` with the component named once in front; with
/// `, max_body: BYTES` behind the answer where a request may be larger than usual.
macro_rules! rpcs {
    ($component:ident: $($(#[$doc:meta])* $marker:ident = $name:literal $versions:expr, $kind:ident ($request:ty) -> $answer:ty $(, max_body: $max_body:expr)?;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $marker;

            impl $crate::Rpc for $marker {
                const COMPONENT: $crate::Component = $crate::Component::$component;
                const NAME: &'static str = $name;
                const VERSIONS: $crate::VersionRange = $versions;
                const KIND: $crate::Kind = $crate::Kind::$kind;
                $(const MAX_BODY: usize = $max_body;)?
                type Request = $request;
                type Answer = $answer;
            }
        )+

        /// The declarations of this component, in order.
        pub const RPCS: &[$crate::RpcInfo] = &[$(<$marker as $crate::Rpc>::INFO),+];
    };
}
pub(crate) use rpcs;
