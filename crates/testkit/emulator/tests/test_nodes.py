"""The node runner: instances boot by their user data, units and tasks run, load balancers forward."""

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from ground import HOME, EmulatorCase, allow, ask, client, given, server, trust

sys.path.insert(0, str(HOME))

BUCKET = "bucket-of-tests"
SERVICE = "ecs-tasks.amazonaws.com"

# Answers with who it is and what it was given.
PROGRAM = """#!/usr/bin/env python3
import http.server, json, os, signal, subprocess, sys
subprocess.Popen(["sleep", "1000"], start_new_session=True)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"pid": os.getpid(), "environment": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
address = os.environ["CORTEX_LISTEN_ADDRESS"], int(sys.argv[1])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""

BOOT = r"""#!/bin/bash
set -u
directory=/opt/cortex/@SHA@
metadata=http://169.254.169.254/latest
mkdir -p "$directory"
instance() { curl -sf --max-time 5 -H "x-aws-ec2-metadata-token: $1" "$metadata/$2"; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
token=$(curl -sf --max-time 5 -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || exit 2
role=$(instance "$token" meta-data/iam/security-credentials/) || exit 3
credentials=$(instance "$token" "meta-data/iam/security-credentials/$role") || exit 4
curl -sSf --proto =https --tlsv1.2 --max-time 300 -o "$directory/program" \
  --aws-sigv4 "aws:amz:us-east-1:s3" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K - \
  "https://bucket-of-tests.s3.us-east-1.amazonaws.com/bin/@SHA@/cortex" <<END || exit 5
user = "$(field AccessKeyId <<<"$credentials"):$(field SecretAccessKey <<<"$credentials")"
header = "x-amz-security-token: $(field Token <<<"$credentials")"
END
echo "@SHA@  $directory/program" | sha256sum --check --status || exit 6
chmod 755 "$directory/program"
"""

CONTROL = """
mkdir -p /etc/cortex /var/lib/cortex
echo "CORTEX_ROLE=control" >/etc/cortex/node.env
echo "CORTEX_ADDRESS=$(instance "$token" meta-data/local-ipv4)" >>/etc/cortex/node.env
cat >/etc/systemd/system/cortex.service <<END
[Unit]
After=network-online.target
[Service]
EnvironmentFile=/etc/cortex/node.env
Environment=PLAIN=yes "QUOTED=a b"
ExecStart=$directory/program 8443 --directory /var/lib/cortex
Restart=always
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now cortex.service
"""

WORKER = """
address=$(instance "$token" meta-data/local-ipv4)
cat >>/etc/ecs/ecs.config <<END
ECS_CLUSTER=c
ECS_INSTANCE_ATTRIBUTES={"cortex.address":"$address"}
ECS_CONTAINER_STOP_TIMEOUT=2m
END
"""

AGENT = allow("ecs:RegisterContainerInstance", "ecs:DiscoverPollEndpoint", "ecs:SubmitTaskStateChange")
LOGS = allow("logs:CreateLogStream", "logs:PutLogEvents")
READ = allow("s3:GetObject", resource=f"arn:aws:s3:::{BUCKET}/*")

# A task: says what it has, listens where it is told to, and says goodbye.
TASK = """
import http.server, os, signal, sys, threading, urllib.request
def get(url):
    with urllib.request.urlopen(url) as reply:
        return reply.read().decode()
print("arn " + get(os.environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task"))
print("credentials " + get(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]))
print("environment " + " ".join(sorted(os.environ)), flush=True)
print("mounted " + os.environ["CORTEX_BINARIES"] + " " + str(os.listdir(os.environ["CORTEX_BINARIES"])), flush=True)
address, port = os.environ["CORTEX_LISTEN"].split(":")
server = http.server.HTTPServer((address, int(port)), http.server.SimpleHTTPRequestHandler)
def leave(*_):
    print("goodbye", flush=True)
    os._exit(7)
signal.signal(signal.SIGTERM, leave)
server.serve_forever()
"""
CHECK = 'import os, urllib.request; urllib.request.urlopen("http://" + os.environ["CORTEX_LISTEN"])'


class Nodes:
    """The runner, and what its status file says."""

    def __init__(self):
        self._place = tempfile.TemporaryDirectory(prefix="nodes-")
        self.directory = Path(self._place.name) / "nodes"
        self.process = subprocess.Popen(
            [
                sys.executable, str(HOME / "nodes.py"), "--endpoint", server().endpoint,
                "--directory", str(self.directory), "--exit-with-stdin",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"AWS_ACCESS_KEY_ID": "must-not-be-seen"},
        )  # fmt: skip
        assert self.process.stdout.readline()

    def status(self):
        return json.loads((self.directory / "status.json").read_text())

    def node(self, instance):
        return next((each for each in self.status()["nodes"] if each["instance"] == instance), None)

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self._place.cleanup()


def eventually(what, condition, seconds=30):
    """The first answer that counts as true."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (urllib.error.URLError, ConnectionError) as error:
            found, last = None, error
        else:
            last = found
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}; last: {last!r}")
        time.sleep(0.05)


def get(address):
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as reply:
        return json.loads(reply.read())


def belongs_to(directory):
    """Who has that directory in the environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"HOME={directory}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


class NodesCase(EmulatorCase):
    def setUp(self):
        self._nodes = None

    def tearDown(self):
        if self._nodes is not None:
            self._nodes.end()

    def start(self):
        self._nodes = Nodes()
        return self._nodes

    def binary(self):
        self.bucket()
        sha = hashlib.sha256(PROGRAM.encode()).hexdigest()
        self.s3.put_object(Bucket=BUCKET, Key=f"bin/{sha}/cortex", Body=PROGRAM.encode())
        return sha

    def node_profile(self, name, **policies):
        """A role that EC2 may use, as `create_role` would make it."""
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(Service="ec2.amazonaws.com")))
        for policy, document in policies.items():
            self.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return {"Name": name}

    def boot_log(self, instance):
        return (self._nodes.directory / instance / "boot.log").read_text()

    def instances_of(self, group):
        return [each["InstanceId"] for each in self.scaling_group_of(group)["Instances"]]


class Control(NodesCase):
    def control(self, sha, **more):
        """An instance behind a load balancer; its target group, and the balancer's name."""
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        script = (BOOT + CONTROL).replace("@SHA@", sha)
        instance = self.instance(subnet, UserData=script, **more)
        check = {"HealthCheckProtocol": "HTTP", "HealthCheckPath": "/"}
        group = self.target_group(vpc, Port=8443, **check)
        balancer = self.balancer([subnet])
        self.listener(balancer["LoadBalancerArn"], group)
        self.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
        return instance, group, balancer["DNSName"]

    def health(self, group):
        found = self.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return found[0]["TargetHealth"]["State"]

    @given(auth="full")
    def test_a_unit_runs_and_is_reached(self):
        nodes = self.start()
        sha = self.binary()
        instance, group, name = self.control(sha, IamInstanceProfile=self.node_profile("control", read=READ))
        eventually("it is healthy", lambda: self.health(group) == "healthy")
        node = nodes.node(instance)
        self.assertEqual((node["state"], node["ecs_config"], node["units"][0]["state"]), ("up", None, "running"))

        forwarder = nodes.status()["balancers"][f"{name}:443"]
        answer = get(forwarder)
        environment = answer["environment"]
        self.assertEqual(answer["pid"], node["units"][0]["pid"])
        self.assertEqual(environment["CORTEX_ADDRESS"], node["address"])
        self.assertEqual(environment["CORTEX_LISTEN_ADDRESS"], node["address"])
        self.assertEqual((environment["PLAIN"], environment["QUOTED"]), ("yes", "a b"))
        self.assertEqual(environment["AWS_ENDPOINT_URL"], server().endpoint)
        self.assertNotIn("AWS_ACCESS_KEY_ID", environment)
        self.assertTrue(re.fullmatch(r"127\.\d+\.\d+\.\d+", node["address"]))

        os.kill(answer["pid"], signal.SIGKILL)
        again = eventually("it runs again", lambda: (found := get(forwarder))["pid"] != answer["pid"] and found)
        self.assertEqual(nodes.node(instance)["units"][0]["starts"], 2)
        # What the first one had started went with it.
        self.assertEqual(len(belongs_to(node["directory"])), 2)

        self.ec2.terminate_instances(InstanceIds=[instance])
        eventually("it is gone", lambda: nodes.node(instance)["state"] == "gone")
        self.assertFalse(Path(f"/proc/{again['pid']}").exists())
        self.assertEqual(belongs_to(node["directory"]), [])
        with self.assertRaises(OSError):
            get(forwarder)

    @given(auth="full")
    def test_without_the_permission_it_does_not_boot(self):
        nodes = self.start()
        profile = self.node_profile("control", other=allow("s3:ListBucket"))
        instance, group, _ = self.control(self.binary(), IamInstanceProfile=profile)
        eventually("it has failed", lambda: (node := nodes.node(instance)) and node["state"] == "failed")
        self.assertIn("403", self.boot_log(instance))
        self.assertRegex(self.boot_log(instance), "curl ended with 22: http://.*/cortex")
        self.assertIn("ended with 5", self.boot_log(instance))
        eventually("it is unhealthy", lambda: self.health(group) == "unhealthy")

    @given(auth="full")
    def test_of_the_wrong_hash_it_does_not_boot(self):
        nodes = self.start()
        sha = self.binary()
        self.s3.put_object(Bucket=BUCKET, Key=f"bin/{sha}/cortex", Body=b"another")
        instance, _, _ = self.control(sha, IamInstanceProfile=self.node_profile("control", read=READ))
        eventually("it has failed", lambda: (node := nodes.node(instance)) and node["state"] == "failed")
        self.assertIn("ended with 6", self.boot_log(instance))

    @given(auth="full")
    def test_the_metadata_service_wants_tokens(self):
        nodes = self.start()
        profile = self.node_profile("control", read=READ)
        instance, _, _ = self.control(self.binary(), IamInstanceProfile=profile)
        url = eventually("there is one", lambda: nodes.node(instance))["metadata"]

        def ask_for(path, **headers):
            request = urllib.request.Request(f"{url}/latest/{path}", headers=headers)
            try:
                with urllib.request.urlopen(request) as reply:
                    return reply.status, reply.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, ""

        self.assertEqual(ask_for("meta-data/instance-id")[0], 401)
        lifetime = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
        request = urllib.request.Request(f"{url}/latest/api/token", headers=lifetime, method="PUT")
        with urllib.request.urlopen(request) as reply:
            token = {"x-aws-ec2-metadata-token": reply.read().decode()}
        self.assertEqual(ask_for("meta-data/instance-id", **token), (200, instance))
        self.assertEqual(ask_for("meta-data/placement/region", **token), (200, "us-east-1"))
        self.assertEqual(ask_for("meta-data/placement/availability-zone", **token), (200, "us-east-1a"))
        self.assertEqual(ask_for("meta-data/spot/instance-action", **token)[0], 404)
        self.assertEqual(ask_for("meta-data/iam/security-credentials/", **token), (200, "control"))
        self.assertEqual(ask_for("meta-data/iam/security-credentials/other", **token)[0], 404)
        document = json.loads(ask_for("dynamic/instance-identity/document", **token)[1])
        self.assertEqual((document["instanceId"], document["accountId"]), (instance, "123456789012"))

    @given(auth="full")
    def test_nothing_is_left_of_it(self):
        nodes = self.start()
        profile = self.node_profile("control", read=READ)
        _, group, _ = self.control(self.binary(), IamInstanceProfile=profile)
        eventually("it is healthy", lambda: self.health(group) == "healthy")
        self.assertEqual(len(belongs_to(nodes.directory)), 2)
        self._nodes = None
        nodes.end()
        self.assertEqual(belongs_to(nodes.directory), [])

    @given(auth="full")
    def test_its_children_die_with_it(self):
        nodes = self.start()
        profile = self.node_profile("control", read=READ)
        instance, group, _ = self.control(self.binary(), IamInstanceProfile=profile)
        eventually("it is healthy", lambda: self.health(group) == "healthy")
        pid = nodes.node(instance)["units"][0]["pid"]
        nodes.process.kill()
        eventually("the unit is dead", lambda: not Path(f"/proc/{pid}").exists() or "Z" in state_of(pid))
        for orphan in belongs_to(nodes.directory):
            os.kill(orphan, signal.SIGKILL)


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Workers(NodesCase):
    def cluster(self, **policies):
        """A cluster `c` of one instance, which its group starts."""
        vpc = self.vpc()
        script = (BOOT + WORKER).replace("@SHA@", self.binary())
        template = self.template(
            "workers",
            UserData=base64.b64encode(script.encode()).decode(),
            IamInstanceProfile=self.node_profile("worker", read=READ, **policies),
        )
        group = self.scaling_group(
            [self.subnet(vpc)], "workers", LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"}
        )
        self.ecs.create_cluster(clusterName="c")
        self.ecs.create_capacity_provider(
            name="p", autoScalingGroupProvider={"autoScalingGroupArn": group["AutoScalingGroupARN"]}
        )
        self.ecs.put_cluster_capacity_providers(
            cluster="c", capacityProviders=["p"], defaultCapacityProviderStrategy=[{"capacityProvider": "p"}]
        )
        return self.instances_of("workers")[0]

    def definition(self, program=TASK, check=CHECK):
        self.iam.create_role(RoleName="task", AssumeRolePolicyDocument=json.dumps(trust(Service=SERVICE)))
        self.logs.create_log_group(logGroupName="g")
        container = {
            "name": "replica",
            "image": "none",
            "memory": 256,
            "entryPoint": ["python3", "-c"],
            "command": [program],
            "environment": [
                {"name": "CORTEX_BINARIES", "value": "/opt/cortex"},
                {"name": "CORTEX_LISTEN", "value": "0.0.0.0:8888"},
            ],
            "portMappings": [{"containerPort": 8888, "hostPort": 0}],
            "mountPoints": [{"sourceVolume": "binaries", "containerPath": "/opt/cortex", "readOnly": True}],
            "healthCheck": {"command": ["CMD", "python3", "-c", check], "interval": 5, "retries": 2},
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "g",
                    "awslogs-region": "us-east-1",
                    "awslogs-stream-prefix": "api",
                },
            },
        }
        made = self.ecs.register_task_definition(
            family="f",
            networkMode="bridge",
            taskRoleArn="arn:aws:iam::123456789012:role/task",
            containerDefinitions=[container],
            volumes=[{"name": "binaries", "host": {"sourcePath": "/opt/cortex"}}],
        )
        return made["taskDefinition"]["taskDefinitionArn"]

    def tasks(self, **more):
        arns = self.ecs.list_tasks(cluster="c", serviceName="s", **more)["taskArns"]
        return self.ecs.describe_tasks(cluster="c", tasks=arns)["tasks"] if arns else []

    def lines(self, task):
        name = f"api/replica/{task['taskArn'].rpartition('/')[2]}"
        events = self.logs.get_log_events(logGroupName="g", logStreamName=name, startFromHead=True)["events"]
        return [each["message"] for each in events]

    def healthy(self):
        tasks = self.tasks()
        return tasks if tasks and all(each["healthStatus"] == "HEALTHY" for each in tasks) else None

    @given(auth="full")
    def test_a_service_runs(self):
        nodes = self.start()
        instance = self.cluster(agent=AGENT, logs=LOGS)
        self.ecs.create_service(cluster="c", serviceName="s", taskDefinition=self.definition(), desiredCount=2)
        tasks = eventually("its tasks are healthy", lambda: len(self.tasks()) == 2 and self.healthy())

        node = nodes.node(instance)
        self.assertEqual(node["ecs_config"]["ECS_CLUSTER"], "c")
        arn = tasks[0]["containerInstanceArn"]
        found = self.ecs.describe_container_instances(cluster="c", containerInstances=[arn])["containerInstances"][0]
        self.assertIn({"name": "cortex.address", "value": node["address"]}, found["attributes"])
        self.assertEqual(found["capacityProviderName"], "p")
        ports = set()
        for task in tasks:
            binding = task["containers"][0]["networkBindings"][0]
            self.assertEqual((binding["containerPort"], binding["bindIP"]), (8888, node["address"]))
            ports.add(binding["hostPort"])
            with urllib.request.urlopen(f"http://{node['address']}:{binding['hostPort']}") as reply:
                self.assertEqual(reply.status, 200)
        self.assertEqual(len(ports), 2)
        self.assertEqual({port for task in node["tasks"] for port in task["ports"]}, ports)

        task = tasks[0]
        eventually("its log is there", lambda: len(self.lines(task)) >= 4)
        said = dict(line.partition(" ")[::2] for line in self.lines(task))
        self.assertEqual(json.loads(said["arn"])["TaskARN"], task["taskArn"])
        self.assertNotIn("AWS_ACCESS_KEY_ID", said["environment"])
        self.assertIn(f"{node['directory']}/opt/cortex", said["mounted"])
        given = json.loads(said["credentials"])
        session = {"access_key_id": given["AccessKeyId"], "secret_access_key": given["SecretAccessKey"]}
        mine = client("sts", session | {"session_token": given["Token"]})
        self.assertIn(":assumed-role/task/", mine.get_caller_identity()["Arn"])
        writers = {call["principal"] for call in ask("calls")["calls"] if call["action"] == "PutLogEvents"}
        self.assertEqual(writers, {f"arn:aws:sts::123456789012:assumed-role/worker/{instance}"})

        self.ecs.update_service(cluster="c", service="s", desiredCount=1)
        stopped = eventually(
            "one has stopped",
            lambda: [each for each in self.tasks(desiredStatus="STOPPED") if each["lastStatus"] == "STOPPED"],
        )[0]
        self.assertEqual(stopped["containers"][0]["exitCode"], 7)
        eventually("it said goodbye", lambda: "goodbye" in self.lines(stopped))
        self.assertEqual(len(self.tasks()), 1)

    @given(auth="full")
    def test_a_task_that_ends_is_replaced(self):
        nodes = self.start()
        instance = self.cluster(agent=AGENT, logs=LOGS)
        self.ecs.create_service(cluster="c", serviceName="s", taskDefinition=self.definition(), desiredCount=1)
        first = eventually("it is healthy", self.healthy)[0]["taskArn"]
        os.kill(nodes.node(instance)["tasks"][0]["pid"], signal.SIGKILL)
        eventually("there is another", lambda: (now := self.healthy()) and now[0]["taskArn"] != first)
        stopped = self.tasks(desiredStatus="STOPPED")[0]
        self.assertEqual(stopped["stoppedReason"], "Essential container in task exited")
        self.assertEqual(stopped["containers"][0]["exitCode"], 137)

    @given(auth="full")
    def test_an_unhealthy_one_is_replaced(self):
        self.start()
        self.cluster(agent=AGENT, logs=LOGS)
        check = "import os, sys; sys.exit(os.path.exists('ill'))"
        self.ecs.create_service(
            cluster="c", serviceName="s", taskDefinition=self.definition(check=check), desiredCount=1
        )
        first = eventually("it is healthy", self.healthy)[0]["taskArn"]
        (self._nodes.directory / self.instances_of("workers")[0] / "tasks" / first.rpartition("/")[2] / "ill").touch()
        eventually("there is another", lambda: (now := self.healthy()) and now[0]["taskArn"] != first)

    @given(auth="full")
    def test_without_its_permission_nothing_is_registered(self):
        nodes = self.start()
        instance = self.cluster(agent=allow("ecs:Poll"))
        problem = eventually("it says why", lambda: (node := nodes.node(instance)) and node["problem"])
        self.assertIn("ecs:RegisterContainerInstance", problem)
        self.assertEqual(self.ecs.list_container_instances(cluster="c")["containerInstanceArns"], [])

    @given(auth="full")
    def test_without_logs_a_task_does_not_start(self):
        self.start()
        self.cluster(agent=AGENT)
        self.ecs.create_service(cluster="c", serviceName="s", taskDefinition=self.definition(), desiredCount=1)
        stopped = eventually("it has stopped", lambda: self.tasks(desiredStatus="STOPPED"))[0]
        self.assertIn("failed to initialize logging driver", stopped["stoppedReason"])


class Relocation(unittest.TestCase):
    def test_paths_are_moved_once(self):
        from cortex_nodes.relocation import moved

        places = {"/opt/cortex": "/r/opt/cortex", "/etc/ecs": "/r/etc/ecs"}
        for before, after in (
            ("cat >/etc/ecs/ecs.config", "cat >/r/etc/ecs/ecs.config"),
            ("X=/opt/cortex", "X=/r/opt/cortex"),
            ("/opt/cortexes /opt/cortex-2", "/opt/cortexes /opt/cortex-2"),
            ("/r/opt/cortex $HOME/opt/cortex", "/r/opt/cortex $HOME/opt/cortex"),
            ("a:/opt/cortex/x:b", "a:/r/opt/cortex/x:b"),
        ):
            self.assertEqual(moved(before, places), after)


class Units(unittest.TestCase):
    def test_which_are_started(self):
        from cortex_nodes.units import enabled

        calls = ["daemon-reload", "--now enable a.service", "enable b", "start c", "enable --now a.service d.timer"]
        self.assertEqual(enabled([call.split() for call in calls]), ["a.service", "c.service"])


if __name__ == "__main__":
    unittest.main()
