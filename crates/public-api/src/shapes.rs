//! The declared shapes by upstream's names, so that they can be held against foreign examples of JSON. Those that
//! stand in the contract between backends too are in [`federation_api::shapes`].

pub use federation_api::shapes::Shape;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    auth::*, email::EmailAddress, locale::Locale, remotes::*, search::SearchResult, system::VersionInfo,
    text::CookieLabel, user::*,
};

/// Every named shape of the client API and of the internal routes, in the order of their names.
pub const SHAPES: &[Shape] = &[
    shape::<AccessToken>("AccessToken"),
    shape::<AccountStatus>("AccountStatus"),
    shape::<BindingNewTeamUser>("BindingNewTeamUser"),
    shape::<CookieLabel>("CookieLabel"),
    shape::<EmailAddress>("Email"),
    shape::<FederationDomainConfigs>("FederationDomainConfigs"),
    shape::<FederationRemoteTeam>("FederationRemoteTeam"),
    shape::<GetActivationCodeResp>("GetActivationCodeResp"),
    shape::<HandleUpdate>("HandleUpdate"),
    shape::<ListUsersById>("ListUsersById"),
    shape::<ListUsersQuery>("ListUsersQuery"),
    shape::<Locale>("Locale"),
    shape::<Login>("Login"),
    shape::<ManagedBy>("ManagedBy"),
    shape::<NewUser>("NewUser"),
    // Two upstream types have this name; the other one is spoken between backends.
    shape::<VersionInfo>("Routes.Version.VersionInfo"),
    shape::<SearchResult>("SearchResult_Contact"),
    shape::<SelfProfile>("SelfProfile"),
    shape::<TokenType>("TokenType"),
    shape::<User>("User"),
    shape::<UserSSOId>("UserSSOId"),
];

const fn shape<T: Serialize + DeserializeOwned>(name: &'static str) -> Shape {
    Shape { name, roundtrip: roundtrip::<T> }
}

fn roundtrip<T: Serialize + DeserializeOwned>(document: &str) -> Result<String, String> {
    let value: T = serde_json::from_str(document).map_err(|error| error.to_string())?;
    serde_json::to_string(&value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_in_order_and_mean_one_shape() {
        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut seen = BTreeSet::new();
        for shape in SHAPES.iter().chain(federation_api::shapes::SHAPES) {
            assert!(seen.insert(shape.name), "{} twice", shape.name);
        }
    }
}
