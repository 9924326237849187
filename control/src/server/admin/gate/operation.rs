//! The operations of the administration, and the one table of the rights to them.

use crate::registry::{AdminRole, Reach, RoleName};

/// The right of a role to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// On all of the registry.
    All,
    /// On the part that the role is for. Other things are unknown.
    Own,
    /// None.
    No,
}

/// An operation as a type, which a permit names.
pub(in crate::server::admin) trait Op: Send + Sync + 'static {
    /// The operation.
    const OPERATION: Operation;
}

macro_rules! operations {
    ($($name:ident, $words:literal, $($right:ident)+;)+) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::server::admin) enum Operation {
            $(#[doc = $words] $name,)+
        }

        /// The operations as types.
        pub(in crate::server::admin) mod op {
            $(
                #[doc = $words]
                pub(in crate::server::admin) struct $name;

                impl super::Op for $name {
                    const OPERATION: super::Operation = super::Operation::$name;
                }
            )+
        }

        impl Operation {
            /// Returns the words for the operation, with a verb first.
            pub(in crate::server::admin) fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }

            fn rights(self) -> [Right; 4] {
                match self {
                    $(Self::$name => [$(Right::$right),+],)+
                }
            }
        }
    };
}

operations! {
    //                                             admin  auditor  team owner  self-service
    ListTokens,       "list tokens",                All    All      Own         Own;
    ShowToken,        "show a token",               All    All      Own         Own;
    CreateToken,      "create a token",             All    No       Own         Own;
    ChangeToken,      "change a token",             All    No       Own         Own;
    RotateToken,      "rotate a token",             All    No       Own         Own;
    DeleteToken,      "delete a token",             All    No       Own         Own;
    ImportTokens,     "import tokens",              All    No       No          No;
    ListUsers,        "list users",                 All    All      Own         Own;
    ShowUser,         "show a user",                All    All      Own         Own;
    CreateUser,       "create a user",              All    No       Own         No;
    ChangeUser,       "change a user",              All    No       Own         No;
    DeleteUser,       "delete a user",              All    No       Own         No;
    ShowOwner,        "show what an owner has",     All    All      Own         Own;
    Offboard,         "disable all of an owner",    All    No       No          No;
    ListSessions,     "list sessions",              All    All      Own         Own;
    BeginSession,     "sign in a device",           Own    Own      Own         Own;
    EndSession,       "end a session",              All    No       Own         Own;
    ListBudgets,      "list budgets",               All    All      Own         Own;
    ShowBudget,       "show a budget",              All    All      Own         Own;
    SetBudget,        "set a budget",               All    No       Own         No;
    DeleteBudget,     "delete a budget",            All    No       Own         No;
    ReadUsage,        "read usage",                 All    All      Own         Own;
    ListObjects,      "list objects",               All    All      Own         Own;
    ShowObject,       "show an object",             All    All      Own         Own;
    AdoptObjects,     "adopt objects",              All    No       No          No;
    TransferObjects,  "transfer objects",           All    No       No          No;
    ForgetObject,     "forget an object",           All    No       No          No;
    ListPolicies,     "list policies",              All    All      No          No;
    ShowPolicy,       "show a policy",              All    All      No          No;
    PublishPolicy,    "publish a policy",           All    No       No          No;
    TrustSigners,     "change the keys of a policy", All   No       No          No;
    ListCredentials,  "list credentials",           All    All      No          No;
    CreateCredential, "create a credential",        All    No       No          No;
    RevokeCredential, "revoke a credential",        All    No       No          No;
    ListApiKeys,      "list API keys",              All    All      No          No;
    CreateApiKey,     "create an API key",          All    No       No          No;
    RevokeApiKey,     "revoke an API key",          All    No       No          No;
    ReadAudit,        "read the audit log",         All    All      No          No;
    ReadSelf,         "see one's name and role",    Own    Own      Own         Own;
    SignOut,          "sign out",                   Own    Own      Own         Own;
}

impl Operation {
    fn right(self, role: RoleName) -> Right {
        let [admin, auditor, team_owner, self_service] = self.rights();
        match role {
            RoleName::Admin => admin,
            RoleName::Auditor => auditor,
            RoleName::TeamOwner => team_owner,
            RoleName::SelfService => self_service,
        }
    }

    /// Returns true if a role may carry out the operation, at least on a part of the registry.
    pub(in crate::server::admin) fn is_for(self, role: RoleName) -> bool {
        self.right(role) != Right::No
    }

    /// Returns the part of the registry on which a role may carry out the operation, `None` if on no part.
    pub(in crate::server::admin) fn reach(self, role: &AdminRole) -> Option<Reach> {
        match self.right(role.name()) {
            Right::All => Some(Reach::All),
            Right::Own => Some(role.reach()),
            Right::No => None,
        }
    }

    /// Returns true if a program may not carry out the operation, whatever its role. A key that makes keys would live on after it
    /// was revoked.
    pub(super) fn is_for_people(self) -> bool {
        self == Self::CreateApiKey
    }
}
