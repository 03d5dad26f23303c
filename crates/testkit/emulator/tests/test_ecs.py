"""ECS: services, tasks, capacity, agents."""

import json
import unittest

from ground import EmulatorCase, about, allow, ask, client, given, pass_time

CHECK = {"command": ["CMD", "true"]}


class EcsCase(EmulatorCase):
    def cluster(self, size=1, maximum=4, scaling="DISABLED", protected=False):
        """A cluster `c` with one capacity provider `p` on a group of that size."""
        vpc = self.vpc()
        group = self.scaling_group(
            [self.subnet(vpc, 0, "a"), self.subnet(vpc, 1, "b")],
            DesiredCapacity=size,
            MaxSize=maximum,
            NewInstancesProtectedFromScaleIn=protected,
        )
        self.ecs.create_cluster(clusterName="c")
        self.provider("p", group, scaling)
        self.ecs.put_cluster_capacity_providers(
            cluster="c", capacityProviders=["p"], defaultCapacityProviderStrategy=[{"capacityProvider": "p"}]
        )

    def provider(self, name, group, scaling="DISABLED", **more):
        details = {"autoScalingGroupArn": group["AutoScalingGroupARN"], "managedScaling": {"status": scaling}}
        self.ecs.create_capacity_provider(name=name, autoScalingGroupProvider=details | more)

    def definition(self, family="f", memory=256, **more):
        container = {
            "name": "main",
            "image": "image",
            "memory": memory,
            "healthCheck": CHECK,
            "portMappings": [{"containerPort": 8888}],
        }
        made = self.ecs.register_task_definition(family=family, containerDefinitions=[container], **more)
        return made["taskDefinition"]["taskDefinitionArn"]

    def service(self, name="s", count=1, definition=None, **more):
        made = self.ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=definition or self.definition(), desiredCount=count, **more
        )
        return made["service"]

    def described(self, name="s"):
        return self.ecs.describe_services(cluster="c", services=[name])["services"][0]

    def tasks(self, name="s", **more):
        arns = self.ecs.list_tasks(cluster="c", serviceName=name, **more)["taskArns"]
        return self.ecs.describe_tasks(cluster="c", tasks=arns)["tasks"] if arns else []

    def register(self):
        """What the agent of the first instance would say first."""
        instance = ask("agents/instances")[0]["id"]
        made = self.ecs.register_container_instance(
            cluster="c",
            instanceIdentityDocument=json.dumps({"instanceId": instance}),
            attributes=[{"name": "cortex.address", "value": "10.0.0.9"}],
        )
        return made["containerInstance"]


class Services(EcsCase):
    @about("services_run", mode="plain")
    def test_a_service_goes_on_with_a_definition_that_was_deregistered(self):
        self.cluster()
        definition = self.definition()
        self.service(definition=definition)
        self.ecs.deregister_task_definition(taskDefinition=definition)
        self.ecs.stop_task(cluster="c", task=self.tasks()[0]["taskArn"])
        self.assertEqual(self.described()["runningCount"], 1)
        self.ecs.update_service(cluster="c", service="s", desiredCount=2)
        self.assertEqual(self.described()["runningCount"], 2)

    @about("services_run", mode="plain")
    def test_a_service_becomes_stable(self):
        self.cluster()
        made = self.service(count=2, deploymentConfiguration={"minimumHealthyPercent": 50})
        self.assertEqual(made["capacityProviderStrategy"][0]["capacityProvider"], "p")
        self.assertEqual(made["deploymentConfiguration"]["minimumHealthyPercent"], 50)
        found = self.described()
        self.assertEqual((found["runningCount"], found["pendingCount"]), (2, 0))
        self.assertEqual([each["rolloutState"] for each in found["deployments"]], ["COMPLETED"])
        self.assertIn("steady state", found["events"][0]["message"])
        task = self.tasks()[0]
        self.assertEqual((task["lastStatus"], task["healthStatus"]), ("RUNNING", "HEALTHY"))
        ports = {each["containers"][0]["networkBindings"][0]["hostPort"] for each in self.tasks()}
        self.assertEqual(len(ports), 2)

    @about("services_run", mode="plain", task_start=10, task_healthy=5, task_stop=5)
    def test_an_update_rolls(self):
        self.cluster()
        self.service()
        pass_time(16)
        old = self.tasks()[0]["taskArn"]
        self.ecs.update_service(cluster="c", service="s", taskDefinition=self.definition("g"))
        self.assertEqual([each["status"] for each in self.described()["deployments"]], ["PRIMARY", "ACTIVE"])
        pass_time(11)
        # The new one runs, but is not healthy yet.
        self.assertEqual(len(self.tasks()), 2)
        pass_time(6)
        self.assertEqual([each["taskArn"] != old for each in self.tasks()], [True])
        pass_time(6)
        self.assertEqual(len(self.described()["deployments"]), 1)
        stopped = self.tasks(desiredStatus="STOPPED")
        self.assertEqual([each["taskArn"] for each in stopped], [old])

    @about("services_run", mode="plain", task_stop=5)
    def test_a_deleted_one_drains(self):
        self.cluster()
        self.service()
        self.described()
        self.ecs.delete_service(cluster="c", service="s", force=True)
        self.assertEqual(self.described()["status"], "DRAINING")
        pass_time(6)
        self.assertEqual(self.described()["status"], "INACTIVE")
        self.assertEqual(self.ecs.list_services(cluster="c")["serviceArns"], [])

    @given(mode="plain")
    def test_no_room_is_an_event(self):
        self.cluster()
        self.service(definition=self.definition(memory=100_000))
        self.assertIn("unable to place a task", self.described()["events"][0]["message"])

    @given(mode="plain", scale_out=60, agent_register=30)
    def test_managed_scaling_makes_room(self):
        self.cluster(size=0, scaling="ENABLED")
        self.service()
        self.assertEqual(self.described()["pendingCount"], 1)
        self.assertEqual(self.tasks()[0]["lastStatus"], "PROVISIONING")
        pass_time(61)
        self.assertEqual(self.scaling_group_of()["DesiredCapacity"], 1)
        pass_time(31)
        self.assertEqual(self.described()["runningCount"], 1)

    @given(mode="plain", scale_in=900)
    def test_managed_scaling_lets_idle_instances_go(self):
        self.cluster(size=2, scaling="ENABLED")
        self.service()
        busy = self.tasks()[0]["containerInstanceArn"]
        pass_time(901)
        self.described()
        self.assertEqual(self.scaling_group_of()["DesiredCapacity"], 1)
        left = self.ecs.list_container_instances(cluster="c")["containerInstanceArns"]
        self.assertEqual(left, [busy])

    @given(mode="plain")
    def test_a_lost_instance_is_made_up_for(self):
        self.cluster(size=2)
        self.service()
        lost = self.tasks()[0]
        instance = self.ecs.describe_container_instances(
            cluster="c", containerInstances=[lost["containerInstanceArn"]]
        )["containerInstances"][0]["ec2InstanceId"]
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.assertNotEqual(self.tasks()[0]["taskArn"], lost["taskArn"])
        self.assertEqual(self.described()["runningCount"], 1)

    @given(mode="plain")
    def test_the_circuit_breaker_rolls_back(self):
        self.cluster()
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        good = self.service(deploymentConfiguration=breaker)["taskDefinition"]
        self.described()
        ask("agents/mode", mode="nodes")
        self.ecs.update_service(cluster="c", service="s", taskDefinition=self.definition("g"))
        instance = self.ecs.list_container_instances(cluster="c")["containerInstanceArns"][0]
        for _ in range(3):
            for task in ask("agents/poll", cluster="c", container_instance=instance):
                if task["last_status"] == "PENDING":
                    ask("agents/report", task=task["task_arn"], status="STOPPED", reason="exit 1")
        found = self.described()
        self.assertEqual(found["taskDefinition"], good)

    @about("reserved_memory", mode="plain")
    def test_a_reservation_of_memory_is_enough(self):
        container = {"name": "main", "image": "image", "memoryReservation": 256}
        self.ecs.register_task_definition(
            family="f", requiresCompatibilities=["EC2"], containerDefinitions=[container]
        )

    @about("task_filters", mode="plain")
    def test_tasks_are_listed_by_service(self):
        self.cluster()
        self.service("s")
        self.service("t", 2)
        self.described()
        self.assertEqual([len(self.tasks(name)) for name in ("s", "t")], [1, 2])

    @about("stop_service_task", mode="plain", task_stop=5)
    def test_a_stopped_task_stops_later_and_is_replaced(self):
        self.cluster()
        self.service()
        task = self.tasks()[0]["taskArn"]
        stopped = self.ecs.stop_task(cluster="c", task=task, reason="because")["task"]
        self.assertEqual((stopped["desiredStatus"], stopped["lastStatus"]), ("STOPPED", "RUNNING"))
        pass_time(6)
        gone = self.ecs.describe_tasks(cluster="c", tasks=[task])["tasks"][0]
        self.assertEqual((gone["lastStatus"], gone["stoppedReason"]), ("STOPPED", "because"))
        self.assertEqual(self.described()["runningCount"], 1)

    @about("unknown_definition", mode="plain")
    def test_an_unknown_definition_is_an_error(self):
        with self.refused("ClientException"):
            self.ecs.describe_task_definition(taskDefinition="f:not-a-number")


class Agents(EcsCase):
    @about("instance_sizes", mode="plain")
    def test_an_instance_is_as_large_as_its_type(self):
        self.cluster()
        arns = self.ecs.list_container_instances(cluster="c")["containerInstanceArns"]
        found = self.ecs.describe_container_instances(cluster="c", containerInstances=arns)["containerInstances"][0]
        resources = {each["name"]: each.get("integerValue") for each in found["registeredResources"]}
        self.assertEqual(resources["CPU"], 2048)
        self.assertEqual(resources["MEMORY"], 1904)
        self.assertEqual(found["capacityProviderName"], "p")

    @about("instance_attributes", mode="plain")
    def test_an_instance_has_attributes(self):
        ask("agents/mode", mode="nodes")
        self.cluster()
        made = self.register()
        self.assertIn({"name": "cortex.address", "value": "10.0.0.9"}, made["attributes"])

    @about("submit_task_state_change", mode="plain")
    def test_an_agent_runs_tasks(self):
        ask("agents/mode", mode="nodes")
        self.cluster()
        instance = self.register()["containerInstanceArn"]
        self.service()
        self.assertEqual(self.described()["pendingCount"], 1)
        work = ask("agents/poll", cluster="c", container_instance=instance)
        self.assertEqual(work[0]["containers"][0]["image"], "image")
        binding = {"bindIP": "0.0.0.0", "containerPort": 8888, "hostPort": 40000, "protocol": "tcp"}
        container = {"containerName": "main", "status": "RUNNING", "networkBindings": [binding]}
        self.ecs.submit_task_state_change(
            cluster="c", task=work[0]["task_arn"], status="RUNNING", containers=[container]
        )
        self.assertEqual(self.tasks()[0]["healthStatus"], "UNKNOWN")
        self.assertEqual(self.described()["deployments"][0]["rolloutState"], "IN_PROGRESS")
        healthy = [{"name": "main", "healthStatus": "HEALTHY"}]
        ask("agents/report", task=work[0]["task_arn"], status="RUNNING", containers=healthy)
        task = self.tasks()[0]
        self.assertEqual(task["containers"][0]["networkBindings"][0]["hostPort"], 40000)
        self.assertEqual(self.described()["deployments"][0]["rolloutState"], "COMPLETED")

    @given(mode="plain")
    def test_an_unhealthy_task_is_replaced(self):
        self.cluster()
        self.service()
        task = self.tasks()[0]["taskArn"]
        unhealthy = [{"name": "main", "healthStatus": "UNHEALTHY"}]
        ask("agents/report", task=task, status="RUNNING", containers=unhealthy)
        self.assertNotEqual(self.tasks()[0]["taskArn"], task)


class InUse(EcsCase):
    @about("cluster_in_use")
    def test_a_cluster_with_services_and_instances_stays(self):
        self.cluster()
        self.service()
        with self.refused("ClusterContainsServicesException"):
            self.ecs.delete_cluster(cluster="c")
        self.ecs.delete_service(cluster="c", service="s", force=True)
        with self.refused("ClusterContainsContainerInstancesException"):
            self.ecs.delete_cluster(cluster="c")
        self.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="nodes", ForceDelete=True)
        self.ecs.delete_cluster(cluster="c")

    @about("cluster_once")
    def test_a_cluster_is_created_once(self):
        tags = [{"key": "mine", "value": "yes"}]
        self.ecs.create_cluster(clusterName="c", tags=tags)
        self.ecs.create_cluster(clusterName="c")
        found = self.ecs.describe_clusters(clusters=["c"], include=["TAGS"])["clusters"][0]
        self.assertEqual(found["tags"], tags)

    @about("service_once", task_stop=5)
    def test_a_service_is_created_once(self):
        self.cluster()
        self.service()
        with self.refused("InvalidParameterException"):
            self.service()
        self.described()
        self.ecs.delete_service(cluster="c", service="s", force=True)
        with self.refused("InvalidParameterException"):
            self.service()

    @about("provider_checks")
    def test_a_capacity_provider_has_its_own_group(self):
        self.cluster()
        group = self.scaling_group_of()
        with self.refused("ClientException"):
            self.provider("q", group)
        with self.refused("ClientException"):
            self.provider("aws-p", group)
        other = self.scaling_group([self.subnet(self.vpc("10.0.0.0/16"))], "other")
        with self.refused("ClientException"):
            self.provider("q", other, managedTerminationProtection="ENABLED")

    @about("provider_in_use")
    def test_an_attached_provider_stays(self):
        self.cluster()
        with self.refused("ResourceInUseException"):
            self.ecs.delete_capacity_provider(capacityProvider="p")
        self.ecs.put_cluster_capacity_providers(
            cluster="c", capacityProviders=[], defaultCapacityProviderStrategy=[]
        )
        self.ecs.delete_capacity_provider(capacityProvider="p")

    @about("provider_attachment", capacity_attach=5)
    def test_one_attachment_at_a_time(self):
        self.cluster()
        none = {"cluster": "c", "capacityProviders": [], "defaultCapacityProviderStrategy": []}
        with self.refused("UpdateInProgressException"):
            self.ecs.put_cluster_capacity_providers(**none)
        pass_time(6)
        self.ecs.put_cluster_capacity_providers(**none)

    @about("all_providers", mode="plain")
    def test_all_providers_are_described(self):
        self.cluster()
        found = self.ecs.describe_capacity_providers()["capacityProviders"]
        self.assertEqual([each["name"] for each in found], ["p"])

    @about("definition_roles")
    def test_roles_trust_tasks(self):
        role = self.role("wrong")
        with self.refused("ClientException"):
            self.definition(taskRoleArn=role)
        self.definition(taskRoleArn=self.role("right", "ecs-tasks.amazonaws.com"))

    @given(auth="full")
    def test_an_agent_needs_its_permissions(self):
        policies = {"p": allow("ecs:RegisterContainerInstance")}
        self.role("node", policies=policies)
        self.iam.create_instance_profile(InstanceProfileName="node")
        self.iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
        vpc = self.vpc()
        template = self.template("with-profile", IamInstanceProfile={"Name": "node"})
        self.scaling_group([self.subnet(vpc)], LaunchTemplate={"LaunchTemplateId": template})
        ask("agents/mode", mode="nodes")
        self.ecs.create_cluster(clusterName="c")
        instance = ask("agents/instances")[0]
        mine = client("ecs", ask("instances/credentials", instance_id=instance["id"]))
        mine.register_container_instance(
            cluster="c", instanceIdentityDocument=json.dumps({"instanceId": instance["id"]})
        )
        with self.refused("AccessDeniedException"):
            mine.discover_poll_endpoint(cluster="c")


if __name__ == "__main__":
    unittest.main()
