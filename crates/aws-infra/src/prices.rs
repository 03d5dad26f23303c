//! AWS's price list, asked for exactly the prices that a bill needs.
//!
//! A product is found by attributes ("Using the AWS Price List Query API", Billing user guide); its document is JSON in a
//! string. Not tried on real AWS: what does not look as expected is no price, and the built-in table has to do.

use aws_sdk_pricing::types::{Filter, FilterType};
use futures_util::future::join_all;
use provision::cost::{Charge, Origin, Price, PriceTable};
use serde_json::Value;
use spec::cluster::VolumeType;

use crate::{Clients, classify::pricing};

/// Where a price is in the list.
struct Product {
    service: &'static str,
    attributes: Vec<(&'static str, String)>,
    /// Of `usagetype`, which begins with the region's abbreviation.
    usage: &'static str,
    /// What AWS calls one unit, in units of ours.
    units: f64,
}

/// Those that AWS tells. `at` says when it was asked.
pub async fn live_prices(clients: &Clients, region: &str, charges: &[Charge], at: &str) -> PriceTable {
    let asked = charges.iter().map(|charge| async move { (charge, Box::pin(price(clients, region, charge)).await) });
    let known = join_all(asked).await.into_iter().filter_map(|(charge, usd)| {
        let price = Price { usd: usd?, from: Origin::Live { at: at.to_owned() } };
        Some(((region.to_owned(), charge.clone()), price))
    });
    known.collect()
}

async fn price(clients: &Clients, region: &str, charge: &Charge) -> Option<f64> {
    let product = product(charge);
    let mut request =
        clients.pricing.get_products().service_code(product.service).filters(equal("regionCode", region)?);
    for (name, value) in &product.attributes {
        request = request.filters(equal(name, value)?);
    }
    let reply = match request.send().await.map_err(pricing) {
        Ok(reply) => reply,
        Err(error) => {
            tracing::debug!(%charge, %error, "no price");
            return None;
        }
    };
    let documents = reply.price_list().iter().filter_map(|text| serde_json::from_str(text).ok());
    let mut prices: Vec<f64> = documents.filter_map(|document| read(&document, &product)).collect();
    prices.dedup();
    // Two different ones: the question was not good enough.
    match prices[..] {
        [price] if price > 0.0 => Some(price / product.units),
        _ => None,
    }
}

fn equal(name: &str, value: &str) -> Option<Filter> {
    Filter::builder().r#type(FilterType::TermMatch).field(name).value(value).build().ok()
}

fn product(charge: &Charge) -> Product {
    let of = |service, attributes: &[(&'static str, &str)], usage| Product {
        service,
        attributes: attributes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        usage,
        units: 1.0,
    };
    match charge {
        Charge::Instance(instance_type) => of(
            "AmazonEC2",
            &[
                ("instanceType", instance_type),
                ("operatingSystem", "Linux"),
                ("tenancy", "Shared"),
                ("preInstalledSw", "NA"),
                ("capacitystatus", "Used"),
            ],
            "",
        ),
        Charge::VolumeGb(of_type) => {
            of("AmazonEC2", &[("productFamily", "Storage"), ("volumeApiName", api_name(*of_type))], "")
        }
        Charge::VolumeIops(of_type) => {
            of("AmazonEC2", &[("productFamily", "System Operation"), ("volumeApiName", api_name(*of_type))], "")
        }
        Charge::VolumeThroughput(of_type) => Product {
            // By GiB/s.
            units: 1024.0,
            ..of("AmazonEC2", &[("productFamily", "Provisioned Throughput"), ("volumeApiName", api_name(*of_type))], "")
        },
        Charge::LoadBalancer => of("AWSELB", &[("productFamily", "Load Balancer-Network")], "LoadBalancerUsage"),
        Charge::PublicIpv4 => of("AmazonVPC", &[("group", "VPCPublicIPv4Address")], "PublicIPv4:InUseAddress"),
        Charge::NatGateway => of("AmazonEC2", &[("productFamily", "NAT Gateway")], "NatGateway-Hours"),
    }
}

fn api_name(of: VolumeType) -> &'static str {
    match of {
        VolumeType::Gp2 => "gp2",
        VolumeType::Gp3 => "gp3",
        VolumeType::Io1 => "io1",
    }
}

/// The on-demand price in US dollars, if the document is about what was meant. Tiers begin with the dearest.
fn read(document: &Value, product: &Product) -> Option<f64> {
    let usage = document["product"]["attributes"]["usagetype"].as_str()?;
    if !usage.ends_with(product.usage) {
        return None;
    }
    let offer = document["terms"]["OnDemand"].as_object()?.values().next()?;
    let tiers = offer["priceDimensions"].as_object()?.values();
    let first = tiers.into_iter().find(|tier| tier["beginRange"].as_str().is_none_or(|from| from == "0"))?;
    first["pricePerUnit"]["USD"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use provision::cost::Unit;
    use serde_json::json;

    use super::*;

    fn document(usage: &str, usd: &str) -> Value {
        json!({
            "product": { "attributes": { "usagetype": usage, "regionCode": "us-east-1" } },
            "terms": { "OnDemand": { "A.B": { "priceDimensions": { "A.B.C": {
                "beginRange": "0", "endRange": "Inf", "unit": "Hrs", "pricePerUnit": { "USD": usd },
            } } } } },
        })
    }

    #[test]
    fn only_the_usage_that_was_meant_has_the_price() {
        let balancer = product(&Charge::LoadBalancer);
        assert_eq!(read(&document("LoadBalancerUsage", "0.0225"), &balancer), Some(0.0225));
        assert_eq!(read(&document("EU-LoadBalancerUsage", "0.0252"), &balancer), Some(0.0252));
        assert_eq!(read(&document("LCUUsage", "0.006"), &balancer), None);
        assert_eq!(read(&document("LoadBalancerUsage", "free"), &balancer), None);
        assert_eq!(read(&json!({}), &balancer), None);
    }

    #[test]
    fn throughput_is_sold_by_the_gibibyte_and_counted_by_the_mebibyte() {
        let charge = Charge::VolumeThroughput(VolumeType::Gp3);
        assert_eq!(charge.unit(), Unit::ThroughputMonth);
        assert!((40.96 / product(&charge).units - 0.04).abs() < 1e-9);
    }
}
