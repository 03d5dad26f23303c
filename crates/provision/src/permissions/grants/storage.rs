//! What is allowed on the bucket and the log group, and what may be asked beforehand.

use super::{EVERYTHING, Grant, HERE, grant};

const BUCKET: &[&str] = &["arn:${PARTITION}:s3:::${BUCKET}"];
const OBJECTS: &[&str] = &["arn:${PARTITION}:s3:::${BUCKET}/*"];
/// With and without the end that stands for its streams: the API's calls differ.
const LOGS: &[&str] = &[
    "arn:${PARTITION}:logs:${REGION}:${ACCOUNT_ID}:log-group:/cortex/${CLUSTER}",
    "arn:${PARTITION}:logs:${REGION}:${ACCOUNT_ID}:log-group:/cortex/${CLUSTER}:*",
];

pub(super) const GRANTS: &[Grant] = &[
    grant("LookAtRegion", &["logs:DescribeLogGroups", "servicequotas:ListServiceQuotas"], EVERYTHING, &[HERE]),
    // None of these is asked in a region of its own.
    grant(
        "LookAtAccount",
        &["iam:ListInstanceProfiles", "iam:ListRoles", "pricing:GetProducts", "s3:ListAllMyBuckets"],
        EVERYTHING,
        &[],
    ),
    grant("LookAtImages", &["ssm:GetParameters"], &["arn:${PARTITION}:ssm:${REGION}::parameter/aws/service/*"], &[]),
    grant(
        "LookAtCertificates",
        &["acm:DescribeCertificate"],
        &["arn:${PARTITION}:acm:${REGION}:${ACCOUNT_ID}:certificate/*"],
        &[],
    ),
    grant(
        "CheckPermissions",
        &["iam:SimulatePrincipalPolicy"],
        &["arn:${PARTITION}:iam::${ACCOUNT_ID}:role/*", "arn:${PARTITION}:iam::${ACCOUNT_ID}:user/*"],
        &[],
    ),
    grant(
        "LookWhoMayUseIt",
        &["iam:GetRole", "iam:GetUser"],
        &["arn:${PARTITION}:iam::${ACCOUNT_ID}:role/*", "arn:${PARTITION}:iam::${ACCOUNT_ID}:user/*"],
        &[],
    ),
    grant(
        "CheckPolicies",
        &["iam:GetPolicy"],
        &["arn:${PARTITION}:iam::${ACCOUNT_ID}:policy/*", "arn:${PARTITION}:iam::aws:policy/*"],
        &[],
    ),
    grant(
        "Bucket",
        &[
            "s3:CreateBucket",
            "s3:DeleteBucket",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:ListBucket",
            "s3:ListBucketMultipartUploads",
            "s3:ListBucketVersions",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:TagResource",
        ],
        BUCKET,
        &[],
    ),
    grant(
        "Objects",
        &["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"],
        OBJECTS,
        &[],
    ),
    grant(
        "Logs",
        &[
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:ListTagsForResource",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
        ],
        LOGS,
        &[],
    ),
];
