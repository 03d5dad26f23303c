//! The tables. Sources: "Error codes for the Amazon EC2 API" (EC2 API reference), "Common errors" and the errors of
//! each action in the API references of the other services.

use Kind::{Denied, Dependency, Exists, Expired, Invalid, NotFoundYet, Throttled, Unavailable};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Throttled,
    NotFoundYet,
    Dependency,
    Exists,
    Denied,
    Expired,
    Unavailable,
    Invalid,
}

/// The first row that matches decides.
pub(crate) type Table = &'static [Row];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// A `*` at the beginning or the end stands for anything.
    code: &'static str,
    /// In the message, upper or lower case; empty: any message.
    word: &'static str,
    pub(super) kind: Kind,
}

impl Row {
    pub(super) fn matches(&self, code: &str, message: &str) -> bool {
        let same = match (self.code.strip_prefix('*'), self.code.strip_suffix('*')) {
            (Some(end), _) => code.ends_with(end),
            (None, Some(start)) => code.starts_with(start),
            (None, None) => code == self.code,
        };
        same && (self.word.is_empty() || message.to_ascii_lowercase().contains(self.word))
    }
}

const fn row(code: &'static str, kind: Kind) -> Row {
    Row { code, word: "", kind }
}

const fn says(code: &'static str, word: &'static str, kind: Kind) -> Row {
    Row { code, word, kind }
}

pub(super) const COMMON: Table = &[
    row("RequestLimitExceeded", Throttled),
    row("Throttling*", Throttled),
    row("Throttled*", Throttled),
    row("RequestThrottled*", Throttled),
    row("EC2ThrottledException", Throttled),
    row("TooManyRequestsException", Throttled),
    row("PriorRequestNotComplete", Throttled),
    row("BandwidthLimitExceeded", Throttled),
    row("SlowDown", Throttled),
    row("ExpiredToken*", Expired),
    row("RequestExpired", Expired),
    row("TokenRefreshRequired", Expired),
    row("UnauthorizedOperation", Denied),
    row("AccessDenied*", Denied),
    row("AuthFailure", Denied),
    row("NotAuthorized", Denied),
    row("OptInRequired", Denied),
    row("InvalidClientTokenId", Denied),
    row("InvalidAccessKeyId", Denied),
    row("UnrecognizedClientException", Denied),
    row("SignatureDoesNotMatch", Denied),
    row("MissingAuthenticationToken*", Denied),
    row("IncompleteSignature*", Denied),
    row("InternalError", Unavailable),
    row("InternalFailure", Unavailable),
    row("InternalServerError", Unavailable),
    row("Unavailable", Unavailable),
    row("ServiceUnavailable*", Unavailable),
    row("RequestTimeout*", Unavailable),
];

pub(super) const EC2: Table = &[
    row("InvalidAMIID.NotFound", Invalid),
    row("InvalidKeyPair.NotFound", Invalid),
    row("*.NotFound", NotFoundYet),
    row("*.NotFoundException", NotFoundYet),
    row("NatGatewayNotFound", NotFoundYet),
    row("Gateway.NotAttached", NotFoundYet),
    says("InvalidParameterValue", "iam instance profile", NotFoundYet),
    says("InvalidParameterValue", "iaminstanceprofile", NotFoundYet),
    row("DependencyViolation", Dependency),
    row("IncorrectState", Dependency),
    row("IncorrectInstanceState", Dependency),
    row("InvalidNetworkInterface.InUse", Dependency),
    row("InvalidIPAddress.InUse", Dependency),
    row("InvalidGroup.InUse", Dependency),
    row("ResourceInUse", Dependency),
    row("Resource.AlreadyAssociated", Dependency),
    row("OperationNotPermitted", Invalid),
    row("InvalidGroup.Duplicate", Exists),
    row("InvalidPermission.Duplicate", Exists),
    row("InvalidSubnet.Conflict", Exists),
    row("RouteAlreadyExists", Exists),
    row("*.AlreadyExistsException", Exists),
    row("*.Duplicate", Exists),
];

pub(super) const ELB: Table = &[
    row("DuplicateLoadBalancerName*", Exists),
    row("DuplicateTargetGroupName*", Exists),
    row("DuplicateListener*", Exists),
    // Certificates and SSL policies are named by the user, or by us: they do not come into being.
    row("CertificateNotFound*", Invalid),
    row("SSLPolicyNotFound*", Invalid),
    row("LoadBalancerNotFound*", NotFoundYet),
    row("TargetGroupNotFound*", NotFoundYet),
    row("ListenerNotFound*", NotFoundYet),
    row("SubnetNotFound*", NotFoundYet),
    row("InvalidSecurityGroup*", NotFoundYet),
    says("InvalidSubnet*", "internet gateway", Dependency),
    says("ValidationError", "not found", NotFoundYet),
    row("ResourceInUse*", Dependency),
    row("IncompatibleProtocols*", Invalid),
];

pub(super) const IAM: Table = &[
    row("EntityAlreadyExists*", Exists),
    row("NoSuchEntity*", NotFoundYet),
    row("DeleteConflict*", Dependency),
    row("ConcurrentModification*", Dependency),
    row("EntityTemporarilyUnmodifiable*", Dependency),
    says("MalformedPolicyDocument*", "invalid principal", NotFoundYet),
    row("ServiceFailure*", Unavailable),
];

pub(super) const AUTO_SCALING: Table = &[
    row("AlreadyExists*", Exists),
    row("ResourceInUse*", Dependency),
    row("ScalingActivityInProgress*", Dependency),
    row("ResourceContention*", Dependency),
    row("ServiceLinkedRoleFailure*", Dependency),
    says("ValidationError", "name not found", NotFoundYet),
    says("ValidationError", "does not exist", NotFoundYet),
    says("ValidationError", "instance profile", NotFoundYet),
    says("ValidationError", "is marked for deletion", Dependency),
    says("ValidationError", "pending delete", Dependency),
];

pub(super) const ECS: Table = &[
    row("ClusterNotFoundException", NotFoundYet),
    row("ServiceNotFoundException", NotFoundYet),
    row("ServiceNotActiveException", NotFoundYet),
    row("ResourceNotFoundException", NotFoundYet),
    row("ClusterContains*", Dependency),
    row("ResourceInUseException", Dependency),
    row("UpdateInProgressException", Dependency),
    row("ServerException", Unavailable),
    says("ClientException", "already exists", Exists),
    says("InvalidParameterException", "already exists", Exists),
    says("InvalidParameterException", "service linked role", NotFoundYet),
    says("ClientException", "capacity provider does not exist", NotFoundYet),
    says("InvalidParameterException", "capacity provider does not exist", NotFoundYet),
    says("ClientException", "auto scaling group", NotFoundYet),
    says("ClientException", "unable to describe task definition", NotFoundYet),
];

pub(super) const S3: Table = &[
    row("BucketAlreadyOwnedByYou", Exists),
    // Of somebody else's.
    row("BucketAlreadyExists", Invalid),
    row("PreconditionFailed", Exists),
    row("NoSuch*", NotFoundYet),
    row("NotFound", NotFoundYet),
    row("OwnershipControlsNotFoundError", NotFoundYet),
    row("ServerSideEncryptionConfigurationNotFoundError", NotFoundYet),
    row("BucketNotEmpty", Dependency),
    row("OperationAborted", Dependency),
    row("ConditionalRequestConflict", Dependency),
    says("MalformedPolicy", "invalid principal", NotFoundYet),
];

pub(super) const LOGS: Table = &[
    row("ResourceAlreadyExistsException", Exists),
    row("ResourceNotFoundException", NotFoundYet),
    row("OperationAbortedException", Dependency),
];

pub(super) const ACM: Table = &[row("ResourceNotFoundException", NotFoundYet)];

pub(super) const SSM: Table = &[row("ParameterNotFound", NotFoundYet)];

pub(super) const STS: Table = &[];

pub(super) const QUOTAS: Table = &[row("NoSuchResourceException", NotFoundYet)];

pub(super) const PRICING: Table = &[row("NotFoundException", NotFoundYet)];
