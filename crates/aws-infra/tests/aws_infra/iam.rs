use std::collections::BTreeMap;

use provision::{
    names,
    resource::{InstanceProfile, Kind, Policy, Resource, Role},
};
use serde_json::json;

use crate::bench::{Bench, key};

pub fn role(bench: &Bench, name: &str) -> Role {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    });
    Role {
        name: names::role(&bench.cluster, name),
        path: names::iam_path(&bench.cluster),
        description: "cortex cluster: + % test".to_owned(),
        trust: Policy(trust),
        inline_policies: BTreeMap::from([("cortex".to_owned(), policy("s3:GetObject"))]),
        managed_policy_arns: [].into(),
    }
}

fn policy(action: &str) -> Policy {
    Policy(json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::a+b/*"}],
    }))
}

#[tokio::test]
async fn a_role_and_its_profile() {
    let bench = Bench::new("iam").await;
    let iam = aws_sdk_iam::Client::new(&bench.config);
    let made = iam.create_policy().policy_name("iam-test-extra").policy_document(policy("s3:ListBucket").0.to_string());
    let extra = made.send().await.unwrap().policy.unwrap().arn.unwrap();

    let worker = role(&bench, "worker");
    let mut changed = vec![worker.clone(); 5];
    changed[0].description = "else".to_owned();
    changed[1].trust.0["Statement"][0]["Principal"]["Service"] = json!("ecs-tasks.amazonaws.com");
    changed[2].inline_policies = BTreeMap::from([("other".to_owned(), policy("s3:PutObject"))]);
    changed[3].inline_policies.insert("more".to_owned(), policy("s3:PutObject"));
    changed[4].managed_policy_arns = [extra.clone()].into();
    let changed = changed.into_iter().map(Resource::Role).collect();
    let at = key(Kind::Role, &["worker"]);
    bench.born(&at, Resource::Role(worker.clone()), changed).await;

    let control = role(&bench, "control");
    let control = bench.create(&key(Kind::Role, &["control"]), Resource::Role(control)).await.name.unwrap();
    let profile = |role: Option<&str>| {
        Resource::InstanceProfile(InstanceProfile {
            name: worker.name.clone(),
            path: worker.path.clone(),
            role: role.map(str::to_owned),
        })
    };
    let own = profile(Some(&worker.name));
    let changed = vec![profile(Some(&control)), profile(None), own.clone()];
    bench.life(&key(Kind::InstanceProfile, &["worker"]), own.clone(), changed).await;

    // A role in use by a profile, with policies of both sorts.
    bench.create(&key(Kind::InstanceProfile, &["worker"]), own).await;
    bench.gone(&at).await;
    bench.gone(&key(Kind::InstanceProfile, &["worker"])).await;
    bench.gone(&key(Kind::Role, &["control"])).await;
    iam.delete_policy().policy_arn(extra).send().await.unwrap();
}
