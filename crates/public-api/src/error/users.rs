//! Errors of accounts, profiles, handles and search (`brig.md` §3, §4, §7, §11).

entries! {
    /// No activation code waits for that address.
    ACTIVATION_KEY_NOT_FOUND = 404 "not-found" "Activation key not found.";
    /// The address is not on the list of those who may register.
    ALLOWLIST_ERROR = 403 "unauthorized" "Unauthorized e-mail address";
    /// Mail to this address has bounced or was complained about.
    BLACKLISTED_EMAIL = 403 "blacklisted-email" "The given e-mail address has been blacklisted due to a permanent bounce or a complaint.";
    /// Temporary guests cannot register here.
    EPHEMERAL_USER_CREATION_DISABLED = 403 "ephemeral-user-creation-disabled" "Ephemeral user creation is disabled on this instance.";
    /// Another account has that handle.
    HANDLE_EXISTS = 409 "handle-exists" "The given handle is already taken";
    /// The handle is locked.
    HANDLE_MANAGED_BY_SCIM = 403 "managed-by-scim" "Updating handle is not allowed, because it is managed by SCIM, or E2EId is enabled";
    /// Nobody has that handle.
    HANDLE_NOT_FOUND = 404 "not-found" "Handle not found";
    /// The caller may not do this.
    INSUFFICIENT_PERMISSIONS = 403 "insufficient-permissions" "Insufficient permissions";
    /// The activation code is wrong.
    INVALID_ACTIVATION_CODE_WRONG_CODE = 404 "invalid-code" "Invalid activation code";
    /// The activation code belongs to nobody.
    INVALID_ACTIVATION_CODE_WRONG_USER = 404 "invalid-code" "User does not exist";
    /// The text is no e-mail address.
    INVALID_EMAIL = 400 "invalid-email" "Invalid e-mail address.";
    /// The text is no handle, or a reserved one.
    INVALID_HANDLE = 400 "invalid-handle" "The given handle is invalid (less than 2 or more than 256 characters; chars not in \"a-z0-9_.-\"; or on the blocklist)";
    /// The invitation does not exist, has run out, or is for another address.
    INVALID_INVITATION_CODE = 400 "invalid-invitation-code" "Invalid invitation code.";
    /// An invitation demands the address it was sent to.
    MISSING_IDENTITY = 403 "missing-identity" "Using an invitation code requires registering the given email.";
    /// The user has no verified e-mail address.
    NO_IDENTITY = 403 "no-identity" "The user has no verified email";
    /// The team is full.
    TOO_MANY_TEAM_MEMBERS = 403 "too-many-team-members" "Too many members in this team.";
    /// Only invited users can register here.
    USER_CREATION_RESTRICTED = 403 "user-creation-restricted" "This instance does not allow creation of personal users or teams.";
    /// Another account has that e-mail address.
    USER_KEY_EXISTS = 409 "key-exists" "The given e-mail address is in use.";
    /// There is no such user.
    USER_NOT_FOUND = 404 "not-found" "User not found";
}
