//! Schemas of shapes that are declared elsewhere: in `types` and in the contract between backends.
//!
//! Fields stand here a second time; a test holds them against what the shapes write.

use federation_api::{
    Contact, Unit, UserProfile, UserTypeFilter,
    user::{AppInfo, BaseProtocolTag, Name, Pict, ServiceRef, TextStatus, UserAsset, UserLegalHoldStatus, UserType},
};
use serde_json::{Value, json};
use types::{
    AssetKey, FederationDomainConfig, FederationRestriction, Handle, ProviderId, Qualified, SearchPolicy, ServiceId,
    TeamId, Timestamp, UserId,
};
use uuid::Uuid;

use super::{Schema, Schemas};
use crate::{
    text::{PlainTextPassword, Secret},
    user::ExpiresIn,
};

macro_rules! simple {
    ($($type:ty => $schema:tt;)*) => {$(
        impl Schema for $type {
            fn schema(_: &mut Schemas) -> Value {
                json!($schema)
            }
        }
    )*};
}

simple! {
    BaseProtocolTag => {"type": "string", "enum": ["proteus", "mls"]};
    ExpiresIn => {"type": "integer", "minimum": 1, "maximum": 604800};
    Name => {"type": "string", "minLength": 1, "maxLength": 128};
    Pict => {"type": "array", "items": {"type": "object"}, "maxItems": 10, "deprecated": true};
    Secret => {"type": "string"};
    TextStatus => {"type": "string", "minLength": 1, "maxLength": 256};
    Unit => {"type": "array", "maxItems": 0};
    UserLegalHoldStatus => {"type": "string", "enum": ["no_consent", "disabled", "pending", "enabled"]};
    UserType => {"type": "string", "enum": ["regular", "app", "bot"]};
    UserTypeFilter => {"type": "string", "enum": ["regular", "app"]};
    Uuid => {"type": "string", "format": "uuid"};
}

impl<const MIN: usize> Schema for PlainTextPassword<MIN> {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "minLength": MIN, "maxLength": Self::MAX_LEN})
    }
}

macro_rules! objects {
    ($($name:ident { $($key:literal $($optional:ident)?: $type:ty,)* })*) => {$(
        impl Schema for $name {
            fn schema(schemas: &mut Schemas) -> Value {
                schemas.object(stringify!($name), |schemas| vec![
                    $(($key, objects!(@required $($optional)?), <$type>::schema(schemas))),*
                ])
            }
        }
    )*};
    (@required) => { true };
    (@required optional) => { false };
}

objects! {
    AppInfo {
        "category": String,
        "description": String,
    }
    Contact {
        "qualified_id": Qualified<UserId>,
        "id": UserId,
        "name": String,
        "accent_id" optional: Option<i64>,
        "handle" optional: Option<String>,
        "team" optional: Option<TeamId>,
        "type": UserType,
    }
    FederationDomainConfig {
        "domain": types::Domain,
        "search_policy": SearchPolicy,
        "restriction": FederationRestriction,
    }
    ServiceRef {
        "id": ServiceId,
        "provider": ProviderId,
    }
    UserProfile {
        "qualified_id": Qualified<UserId>,
        "id": UserId,
        "name": Name,
        "text_status" optional: TextStatus,
        "picture": Pict,
        "assets": Vec<UserAsset>,
        "accent_id": i32,
        "deleted" optional: bool,
        "service" optional: ServiceRef,
        "handle" optional: Handle,
        "expires_at" optional: Timestamp,
        "team" optional: TeamId,
        "email" optional: String,
        "legalhold_status": UserLegalHoldStatus,
        "supported_protocols": Vec<BaseProtocolTag>,
        "type": UserType,
        "app" optional: AppInfo,
        "searchable": bool,
    }
}

impl Schema for UserAsset {
    fn schema(schemas: &mut Schemas) -> Value {
        schemas.object("UserAsset", |schemas| {
            vec![
                ("type", true, json!({"type": "string", "enum": ["image"]})),
                ("key", true, AssetKey::schema(schemas)),
                ("size", false, json!({"type": "string", "enum": ["preview", "complete"]})),
            ]
        })
    }
}

impl Schema for FederationRestriction {
    fn schema(schemas: &mut Schemas) -> Value {
        schemas.named("FederationRestriction", |schemas| {
            let teams = Vec::<TeamId>::schema(schemas);
            json!({"oneOf": [
                {"type": "object", "properties": {"tag": {"const": "allow_all"}, "value": {"type": "null"}}},
                {"type": "object", "properties": {"tag": {"const": "restrict_by_team"}, "value": teams}},
            ]})
        })
    }
}

impl Schema for crate::user::ListUsersQuery {
    fn schema(schemas: &mut Schemas) -> Value {
        schemas.named("ListUsersQuery", |schemas| {
            let ids = Vec::<Qualified<UserId>>::schema(schemas);
            let handles = Vec::<Qualified<Handle>>::schema(schemas);
            json!({"oneOf": [
                {"type": "object", "properties": {"qualified_ids": ids}, "required": ["qualified_ids"]},
                {"type": "object", "properties": {"qualified_handles": handles}, "required": ["qualified_handles"]},
            ]})
        })
    }
}

impl Schema for crate::user::UserSSOId {
    fn schema(schemas: &mut Schemas) -> Value {
        schemas.named("UserSSOId", |_| {
            json!({"oneOf": [
                {"type": "object", "properties": {"tenant": {"type": "string"}, "subject": {"type": "string"}},
                 "required": ["tenant", "subject"]},
                {"type": "object", "properties": {"scim_external_id": {"type": "string"}},
                 "required": ["scim_external_id"]},
            ]})
        })
    }
}
