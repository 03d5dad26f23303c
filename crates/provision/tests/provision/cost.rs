//! The bill, with every sum worked out by hand.

use provision::cost::{
    Amount, Bill, Charge, Fallback, HOURS_PER_MONTH, Origin, Part, Price, PriceTable, Prices, bill, embedded,
};

use crate::ground::{BROUGHT, DEDICATED, HIGHLY_AVAILABLE, PRIVATE, PUBLIC, SPOT, spec};

// us-east-1, as the built-in table has it.
const T3_SMALL: f64 = 0.0208;
const M5_LARGE: f64 = 0.096;
const G5_XLARGE: f64 = 1.006;
const GP3_GB: f64 = 0.08 / 730.0;
const BALANCER: f64 = 0.0225;
const ADDRESS: f64 = 0.005;
const NAT: f64 = 0.045;
/// Instance, 10 GB, no address.
const CONTROL: f64 = T3_SMALL + 10.0 * GP3_GB;
/// The same with 50 GB.
const M5: f64 = M5_LARGE + 50.0 * GP3_GB;

fn of(yaml: &str) -> Bill {
    with(yaml, embedded())
}

fn with(yaml: &str, prices: &dyn Prices) -> Bill {
    bill(&spec(yaml).graph(&[], "1"), prices)
}

#[track_caller]
fn assert_amount(amount: Amount, min: f64, max: f64) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(amount.min, min) && near(amount.max, max), "{amount:?} is not {min} to {max}");
}

fn exact(amount: Amount) -> bool {
    !amount.at_least && !amount.at_most
}

#[test]
fn an_idle_public_cluster_is_within_its_budget() {
    let idle = of(&PUBLIC.replace("min_instances: 1", "min_instances: 0"));
    // One control node with its address; one load balancer with one address in each of two zones.
    let expected = CONTROL + ADDRESS + BALANCER + 2.0 * ADDRESS;
    assert_amount(idle.fixed_per_hour, expected, expected);
    assert!((idle.per_month.min - 43.359).abs() < 1e-6, "{}", idle.per_month.min);
    assert!(idle.per_month.min <= 50.0 && exact(idle.per_month));
}

#[test]
fn public_nodes_have_an_address_each() {
    let bill = of(PUBLIC);
    let fixed = CONTROL + ADDRESS + BALANCER + 2.0 * ADDRESS;
    let worker = M5 + ADDRESS;
    assert_amount(bill.workers[0].per_hour, worker, worker);
    assert_amount(bill.per_hour, fixed + worker, fixed + 5.0 * worker);
    assert_amount(bill.per_month, HOURS_PER_MONTH * (fixed + worker), HOURS_PER_MONTH * (fixed + 5.0 * worker));
    assert!(exact(bill.per_hour));
}

#[test]
fn private_nodes_have_a_gateway_instead() {
    let bill = of(PRIVATE);
    let fixed = CONTROL + BALANCER + 2.0 * ADDRESS + NAT + ADDRESS;
    assert_amount(bill.fixed_per_hour, fixed, fixed);
    assert_amount(bill.workers[0].per_hour, M5, M5);
    assert_amount(bill.per_hour, fixed + M5, fixed + 5.0 * M5);
    assert!(bill.not_included.contains(&"each GB through a NAT gateway"));
}

#[test]
fn each_zone_and_each_control_node_counts() {
    let bill = of(HIGHLY_AVAILABLE);
    // Three zones: three gateways with an address each, and three addresses of the load balancer.
    let fixed = 2.0 * CONTROL + BALANCER + 3.0 * ADDRESS + 3.0 * (NAT + ADDRESS);
    let gpu = G5_XLARGE + 50.0 * GP3_GB;
    assert_amount(bill.fixed_per_hour, fixed, fixed);
    assert_amount(bill.per_hour, fixed + 2.0 * M5, fixed + 5.0 * M5 + 2.0 * gpu);
    let names: Vec<&str> = bill.workers.iter().map(|worker| worker.node_group.as_str()).collect();
    assert_eq!(names, ["cpu", "gpu"]);
}

#[test]
fn an_internal_load_balancer_has_no_public_address() {
    let bill = of(DEDICATED);
    // Two load balancers, one of them facing the internet; nodes are public.
    let fixed = CONTROL + ADDRESS + 2.0 * BALANCER + 2.0 * ADDRESS;
    assert_amount(bill.fixed_per_hour, fixed, fixed);
}

#[test]
fn the_users_network_is_the_users() {
    let bill = of(BROUGHT);
    let fixed = CONTROL + BALANCER + 2.0 * ADDRESS;
    assert_amount(bill.fixed_per_hour, fixed, fixed);
    assert!(!bill.items.iter().any(|item| item.part == Part::Nat));
}

#[test]
fn spot_instances_cost_at_most_their_limit() {
    let bill = of(SPOT);
    let node = 50.0 * GP3_GB + ADDRESS;
    let fixed = CONTROL + ADDRESS + BALANCER + 2.0 * ADDRESS;
    assert_amount(bill.per_hour, fixed + 0.096 + node, fixed + 5.0 * (0.096 + node));
    assert!(bill.per_hour.at_most && !bill.per_hour.at_least);
    assert!(exact(bill.fixed_per_hour));
    let short = bill.in_short();
    assert!(short.starts_with("at most 0.16") && short.contains(" US dollars an hour, at most "), "{short}");

    // Without a limit of one's own: the on-demand price of the dearest type it may be.
    let unlimited = SPOT.replace(", max_price: 0.096", "").replace("m5.large, m5a.large", "m5a.large, m5.large");
    let unlimited = of(&unlimited.replace("instance_type: m5.large", "instance_type: m5a.large"));
    assert_amount(unlimited.workers[0].per_hour, 0.096 + node, 0.096 + node);

    // Two always on demand, and half of what comes on top.
    let mixed =
        SPOT.replace("max_price: 0.096,", "on_demand_base_capacity: 2, on_demand_percentage_above_base_capacity: 50,");
    let mixed = of(&mixed.replace("max_price: 0.096", ""));
    let count = |what: &str| {
        let item = mixed.items.iter().find(|item| item.what.starts_with(what)).unwrap();
        (item.quantity.min, item.quantity.max, item.at_most)
    };
    assert_eq!(count("m5.large instances"), (1.0, 4.0, false));
    assert_eq!(count("spot instances"), (0.0, 1.0, true));
}

#[test]
fn disks_are_billed_by_what_they_are() {
    let disk = |volume: &str| {
        let yaml = PUBLIC.replace("max_instances: 5", &format!("max_instances: 5, {volume}"));
        of(&yaml).workers[0].per_hour
    };
    let bare = M5_LARGE + ADDRESS;
    let gp3 = bare + (100.0 * 0.08 + (5000.0 - 3000.0) * 0.005 + (250.0 - 125.0) * 0.04) / 730.0;
    assert_amount(
        disk("instance_volume_size: 100, instance_volume_iops: 5000, instance_volume_throughput: 250"),
        gp3,
        gp3,
    );
    let gp2 = bare + 100.0 * 0.1 / 730.0;
    assert_amount(disk("instance_volume_size: 100, instance_volume_type: gp2"), gp2, gp2);
    let io1 = bare + (100.0 * 0.125 + 3000.0 * 0.065) / 730.0;
    assert_amount(disk("instance_volume_size: 100, instance_volume_type: io1, instance_volume_iops: 3000"), io1, io1);
}

#[test]
fn what_is_unknown_is_said_and_counted_as_nothing() {
    let bill = of(&PUBLIC.replace("m5.large", "z1d.large"));
    assert!(bill.per_hour.at_least && bill.workers[0].per_hour.at_least && exact(bill.fixed_per_hour));
    let rows = bill.rows();
    let row = rows.iter().find(|row| row.what == "z1d.large instances").unwrap();
    assert_eq!((row.unit_price.as_str(), row.per_month.as_str()), ("unknown", "unknown"));
    let all = rows.last().unwrap();
    assert!(all.per_month.starts_with("at least "), "{rows:?}");
    assert_eq!(bill.in_short(), format!("{} US dollars an hour, {} a month", all.per_hour, all.per_month));
    let elsewhere = of(&PUBLIC.replace("us-east-1", "xx-nowhere-9"));
    assert_amount(elsewhere.per_hour, 0.0, 0.0);
    assert!(elsewhere.per_hour.at_least);
}

#[test]
fn a_live_price_goes_before_a_built_in_one() {
    let live = Price { usd: 0.1, from: Origin::Live { at: "2026-03-01T12:00:00Z".to_owned() } };
    let asked: PriceTable =
        [(("us-east-1".to_owned(), "instance/m5.large".parse().unwrap()), live.clone())].into_iter().collect();
    let bill = with(PUBLIC, &Fallback(&asked, embedded()));
    let price =
        |charge: &str| bill.items.iter().find(|i| i.charge.to_string() == charge).unwrap().price.clone().unwrap();
    assert_eq!(price("instance/m5.large"), live);
    let Origin::Embedded { date, .. } = price("instance/t3.small").from else { panic!("not built in") };
    assert_eq!(date, "2026-01-19");
}

/// Every size of a family that doubles costs the double, so that a slip of the pen shows.
#[test]
fn the_built_in_table_is_plausible() {
    let table = embedded();
    assert!(table.regions().count() >= 23 && table.len() > 300);
    for region in table.regions() {
        let usd = |charge: &str| table.price(region, &charge.parse::<Charge>().unwrap()).map(|price| price.usd);
        for family in ["c5", "c6i", "c7i", "m5", "m5a", "m6i", "m7a", "r5", "r6i", "r7i", "t3", "t3a"] {
            let sizes = ["large", "xlarge", "2xlarge", "4xlarge"];
            let prices = sizes.map(|size| usd(&format!("instance/{family}.{size}")));
            for pair in prices.windows(2) {
                let [Some(small), Some(big)] = pair else { continue };
                assert!((big / small - 2.0).abs() < 0.01, "{family} in {region}: {prices:?}");
            }
        }
        if let (Some(gp2), Some(gp3)) = (usd("volume/gp2/gb"), usd("volume/gp3/gb")) {
            assert!((gp3 / gp2 - 0.8).abs() < 0.001, "gp3 is a fifth cheaper than gp2 everywhere, but in {region}");
        }
        assert_eq!(usd("public-ipv4"), Some(0.005));
    }
}

#[test]
fn the_bill_can_be_stored() {
    let json = serde_json::to_value(of(PUBLIC)).unwrap();
    assert_eq!(json["per_month"]["at_least"], false);
    assert_eq!(json["items"][0]["charge"], "instance/t3.small");
    assert_eq!(json["items"][0]["price"]["usd"], 0.0208);
}
