//! What exists twice, though this run has made it once: an earlier caller died right after a creation that cannot be
//! recognised as repeated, and it was not seen yet when the plan was made.

use super::{Outcome, Run};
use crate::{
    cloud::State,
    plan::Act,
    resource::{Key, Kind},
};

/// Creations without a client token whose results may stand side by side.
const UNRECOGNISED: &[Kind] =
    &[Kind::Vpc, Kind::InternetGateway, Kind::ElasticIp, Kind::NatGateway, Kind::RouteTable, Kind::VpcEndpoint];

impl Run<'_> {
    /// Says of everything made here that has a double that it is not ready: the next plan removes one of the two.
    pub(super) async fn note_doubles(&mut self) {
        if self.context.halt.is_cancelled() {
            return;
        }
        let made = self.steps.iter().zip(&self.outcomes).filter(|(step, outcome)| {
            step.act == Act::Create && **outcome == Some(Outcome::Done) && UNRECOGNISED.contains(&step.kind)
        });
        let mut made: Vec<(Key, Kind)> = made.map(|(step, _)| (step.key.clone(), step.kind)).collect();
        made.sort_by_key(|(_, kind)| *kind);
        let kinds = made.chunk_by(|(_, a), (_, b)| a == b).map(|same| same[0].1);
        let look = self.context.look;
        let looks = kinds.map(|kind| async move { (kind, look.at(kind).await) });
        let looks = futures_util::future::join_all(looks.collect::<Vec<_>>()).await;
        for (kind, seen) in looks {
            // Not seen is not known: the next run looks again.
            let Ok(seen) = seen else { continue };
            for (key, _) in made.iter().filter(|(_, of)| *of == kind) {
                let Some(ours) = self.ids.get(key) else { continue };
                let double = seen.iter().find(|found| {
                    let stays = found.state != State::Deleting && !self.context.goes(found);
                    found.key == *key && found.kind == kind && found.ids.id != ours.id && stays
                });
                if let Some(double) = double {
                    let why =
                        format!("an earlier attempt has made one too, {}: the next `up` removes it", double.ids.id);
                    self.not_ready.insert(key.clone(), why);
                }
            }
        }
    }
}
