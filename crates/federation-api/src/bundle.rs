//! Notifications as they wait in an outbox (`federation.md` §7).

use serde::{Deserialize, Serialize};
use types::Domain;

use crate::{ApiVersion, Component, Rpc, VersionRange, list::NonEmpty};

/// One notification, in a form for each range of versions in which forms differ. Exactly one of them is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadBundle {
    /// The forms.
    pub notifications: NonEmpty<BackendNotification>,
}

impl PayloadBundle {
    /// The form for a peer that speaks that version, if there is one.
    pub fn for_version(&self, version: ApiVersion) -> Option<&BackendNotification> {
        self.notifications.iter().find(|notification| notification.versions().contains(version))
    }
}

impl From<BackendNotification> for PayloadBundle {
    fn from(notification: BackendNotification) -> Self {
        Self { notifications: NonEmpty::one(notification) }
    }
}

/// A notification in one form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendNotification {
    /// The backend that notifies.
    pub own_domain: Domain,
    /// The component it is for.
    pub target_component: Component,
    /// The RPC. Upstream may put a slash in front; see [`BackendNotification::rpc`].
    pub path: String,
    /// The request, as JSON text.
    pub body: String,
    /// The versions that know this form; from an age before bundles nothing, which means version 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_versions: Option<VersionRange>,
    /// What the operation is called in logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl BackendNotification {
    /// The form that an RPC has in its versions.
    ///
    /// # Errors
    /// Fails if the request has no JSON form, which no type of this crate can bring about.
    pub fn new<R: Rpc>(own_domain: Domain, request: &R::Request, request_id: String) -> serde_json::Result<Self> {
        Ok(Self {
            own_domain,
            target_component: R::COMPONENT,
            path: R::NAME.to_owned(),
            body: serde_json::to_string(request)?,
            body_versions: Some(R::VERSIONS),
            request_id: Some(request_id),
        })
    }

    /// The versions that know this form.
    pub fn versions(&self) -> VersionRange {
        self.body_versions.unwrap_or(VersionRange::until(1))
    }

    /// The RPC's name.
    pub fn rpc(&self) -> &str {
        self.path.strip_prefix('/').unwrap_or(&self.path)
    }
}
