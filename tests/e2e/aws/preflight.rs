//! What is found out before anything is made: said all at once, each with what to do; and what nobody can tell keeps nobody
//! from going on.

use serde_json::{Value, json};
use testkit::{Outcome, emulator::Mode};

use super::{
    ground::{Account, PUBLIC},
    shapes::{PRIVATE, making, same, sdk},
};

/// Exits as what would fail, says so, and nothing was made.
fn refused(account: &Account, says: &[&str]) -> Outcome {
    let before = account.emulator.inventory();
    let mark = account.emulator.mark();
    let up = account.run(&making(&[])).exits(3);
    assert!(account.changes_since(mark).is_empty(), "{:#?}\n{up}", account.changes_since(mark));
    same(&before, &account.emulator.inventory());
    says.iter().fold(up.says("nothing was done"), |up, text| up.says(text))
}

#[test]
fn quotas_that_are_reached_are_named_with_the_page_to_ask_for_more() {
    let account = Account::new(Mode::Strict);
    account.configure(PRIVATE);
    // The account has its default VPC.
    account.emulator.set_quota("L-F678F1CE", 1);
    account.emulator.set_quota("L-0263D0A3", 0);
    refused(
        &account,
        &[
            "fails: quota: VPCs per Region: 1 allowed, 1 in use, 1 more needed (L-F678F1CE)",
            "https://us-east-1.console.aws.amazon.com/servicequotas/home/services/vpc/quotas/L-F678F1CE",
            "fails: quota: EC2-VPC Elastic IPs: 0 allowed, 0 in use, 1 more needed",
        ],
    );
    account.emulator.set_quota("L-F678F1CE", 2);
    account.emulator.set_quota("L-0263D0A3", 1);
    account.make().ok().prints("cluster demo is up");
}

#[test]
fn vcpus_must_do_for_the_fewest_instances_and_should_for_the_most() {
    let account = Account::new(Mode::Strict);
    account.configure(&PUBLIC.replace("max_instances: 2", "max_instances: 20"));
    let quota = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances";
    // One t3.small and at least one m5.large, of two vCPUs each.
    account.emulator.set_quota("L-1216C47A", 3);
    refused(&account, &[&format!("fails: quota: {quota}: 3 vCPUs allowed, 0 in use, 4 to 42 more needed")]);
    account.emulator.set_quota("L-1216C47A", 41);
    let up = account.make().ok().says(&format!("warning: quota: {quota}: 41 vCPUs allowed"));
    up.says("enough for the fewest instances and not for the most");
    // The instances that run now count as used.
    account.configure(&PUBLIC.replace("max_instances: 2", "max_instances: 22"));
    account.make().ok().says("41 vCPUs allowed, 4 in use, 0 to 42 more needed");
}

#[test]
fn everything_that_would_fail_is_said_at_once() {
    let account = Account::new(Mode::Strict);
    account.emulator.create_stranger("somebody", "210987654321");
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef";
    let missing = "arn:aws:iam::123456789012:policy/models";
    account.configure(&format!(
        "{PUBLIC}ssl_certificate_arn: {arn}\niam_policy_arns: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess, {missing}]\n\
         bucket: taken-by-something-else\n"
    ));
    let script = "import boto3; boto3.client('s3').create_bucket(Bucket='taken-by-something-else'); \
                  boto3.client('logs').create_log_group(logGroupName='/cortex/demo')";
    sdk(&account.emulator, &["-c", script]);
    refused(
        &account,
        &[
            &format!("fails: certificate: there is no certificate {arn}"),
            &format!("fails: policy of replicas: there is no policy {missing}"),
            "fails: name of the bucket: there is a bucket taken-by-something-else in this account",
            "fails: name of the log-group: there is a log-group /cortex/demo in this account",
            "choose another `cluster_name`, or remove it",
        ],
    );
}

#[test]
fn a_certificate_of_acm_has_to_be_issued() {
    let account = Account::new(Mode::Strict);
    let request = "import boto3; print(boto3.client('acm').request_certificate(\
                   DomainName='models.example.com', ValidationMethod='DNS')['CertificateArn'])";
    let arn = sdk(&account.emulator, &["-c", request]);
    account.configure(&format!("{PUBLIC}ssl_certificate_arn: {arn}"));
    refused(
        &account,
        &["fails: certificate: the status of the certificate of models.example.com is PENDING_VALIDATION"],
    );
}

#[test]
fn subnets_have_to_be_what_the_file_says_they_are() {
    let account = Account::new(Mode::Strict);
    let make = "
import boto3
ec2 = boto3.client('ec2')
vpc = ec2.create_vpc(CidrBlock='10.9.0.0/16')['Vpc']['VpcId']
for at, zone in enumerate('ab'):
    made = ec2.create_subnet(VpcId=vpc, CidrBlock=f'10.9.{at}.0/24', AvailabilityZone=f'us-east-1{zone}')
    print(made['Subnet']['SubnetId'])
";
    let ids = sdk(&account.emulator, &["-c", make]);
    let [a, b] = *ids.split_whitespace().collect::<Vec<_>>() else { panic!("{ids}") };
    let subnets = format!(
        "subnets:\n  - {{availability_zone: us-east-1a, subnet_id: {a}}}\n  \
         - {{availability_zone: us-east-1b, subnet_id: {b}}}\n"
    );
    account.configure(&format!("{PUBLIC}{subnets}"));
    let says = format!("fails: subnets: `subnet_visibility` is public, and {a} has no way out");
    refused(&account, &[&says, "fails: load_balancer_subnets: a load balancer is to face the internet"]);
    // Nobody knows of endpoints and firewalls: private nodes may be meant so.
    account.configure(&format!(
        "{PUBLIC}{subnets}subnet_visibility: private\napi_load_balancer_scheme: internal\n\
         operator_load_balancer_scheme: internal\n"
    ));
    account.make().ok().says(&format!("warning: subnets: {b} has no default route"));
}

#[test]
fn a_range_that_overlaps_is_a_warning() {
    let account = Account::new(Mode::Strict);
    sdk(&account.emulator, &["-c", "import boto3; boto3.client('ec2').create_vpc(CidrBlock='192.168.4.0/24')"]);
    account.configure(PUBLIC);
    account.make().ok().says("warning: vpc_cidr: 192.168.0.0/16 overlaps with vpc-");
}

/// Whoever may make clusters need not be allowed to look at quotas; then it is said that nobody looked.
#[test]
fn checks_that_may_not_be_made_are_unknown_and_stop_nobody() {
    let account = Account::new(Mode::Strict);
    account.configure(PUBLIC);
    let allowed = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let denied = ["servicequotas:*", "iam:SimulatePrincipalPolicy", "ec2:DescribeInstanceTypes", "pricing:*"];
    let denied = json!({ "Effect": "Deny", "Action": denied, "Resource": "*" });
    let policy = json!({ "most": { "Version": "2012-10-17", "Statement": [allowed, denied] } });
    let user = account.emulator.create_user("restricted", &policy);
    let up = account.run_of(&user, &making(&[])).ok().prints("cluster demo is up");
    up.says("unknown: quotas: vCPUs: not checked, for these credentials may not do ec2:DescribeInstanceTypes")
        .says("unknown: permissions: not checked, for these credentials may not do iam:SimulatePrincipalPolicy");
}

#[test]
fn missing_permissions_are_listed_all_at_once_and_are_a_warning() {
    let account = Account::new(Mode::Strict);
    account.configure(PRIVATE);
    let denied = ["ec2:CreateNatGateway", "elasticloadbalancing:DeleteLoadBalancer"];
    let policy = json!({ "most": { "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": denied, "Resource": "*" },
    ] } });
    let user = account.emulator.create_user("restricted", &policy);
    let plan =
        account.run_of(&user, &["cluster", "plan", "-c", "cluster.yaml", "--node-binary", "/bin/true", "-o", "json"]);
    let plan: Value = serde_json::from_str(&plan.ok().stdout).expect("JSON");
    let checks = plan["checks"].as_array().expect("a list");
    let permissions = checks.iter().find(|check| check["check"] == "permissions").expect("it was checked");
    assert_eq!(permissions["verdict"], "warning", "{permissions:#}");
    let message = permissions["message"].as_str().unwrap_or_default();
    for text in [
        "does not allow 2 of ",
        "ec2:CreateNatGateway (to make nat-gateway)",
        "elasticloadbalancing:DeleteLoadBalancer (",
    ] {
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn a_session_of_a_role_is_checked_by_its_role() {
    let account = Account::new(Mode::Strict);
    account.configure(PUBLIC);
    let session = account.emulator.assume(&super::shapes::administrator(&account.emulator), "ci");
    let plan = account
        .run_of(&session, &["cluster", "plan", "-c", "cluster.yaml", "--node-binary", "/bin/true", "-o", "json"]);
    let plan: Value = serde_json::from_str(&plan.ok().stdout).expect("JSON");
    let checks = plan["checks"].as_array().expect("a list");
    let permissions = checks.iter().find(|check| check["check"] == "permissions").expect("it was checked");
    assert_eq!(permissions["verdict"], "passed", "{permissions:#}");
}

#[test]
fn what_is_up_already_is_not_checked_again() {
    let account = Account::new(Mode::Strict);
    account.configure(PUBLIC);
    account.make().ok();
    account.emulator.set_quota("L-F678F1CE", 1);
    let mark = account.emulator.mark();
    account.make().ok().prints("nothing was changed");
    let asked: Vec<_> = account.emulator.calls_since(mark);
    assert!(asked.iter().all(|call| !call.service.contains("quotas")), "{asked:#?}");
}
