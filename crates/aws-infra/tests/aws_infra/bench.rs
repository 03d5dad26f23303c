//! A cluster's cloud on the emulator, and the life of one resource.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_infra::{AwsCloud, BucketName, Clients, Content, ContentError, Contents, load};
use provision::{
    cloud::{Change, Cloud as _, ClusterId, Ids, Observed, Wanted},
    desired::{Graph, Node},
    diff::diff,
    names::{CLUSTER_TAG, RESOURCE_TAG},
    plan::Choice,
    resource::{Concrete, Key, Kind, Link},
};
use spec::{Secret, cluster::Credentials};
use testkit::emulator::{Delays, Emulator, Mode};

pub const REGION: &str = "us-east-1";

pub struct Bench {
    pub cloud: AwsCloud,
    pub cluster: ClusterId,
    pub config: SdkConfig,
    pub emulator: Arc<Emulator>,
}

/// Content is what the source is called.
pub struct Echo;

#[async_trait]
impl Contents for Echo {
    async fn content(&self, source: &str, inputs: &BTreeMap<String, String>) -> Result<Content, ContentError> {
        let inputs: Vec<String> = inputs.iter().map(|(name, value)| format!("\n{name}={value}")).collect();
        Ok(Content::Bytes(format!("{source}{}", inputs.concat()).into_bytes()))
    }
}

pub async fn config(emulator: &Emulator) -> SdkConfig {
    let secret_access_key = Secret::new(&emulator.admin.secret_access_key);
    let keys = Credentials { access_key_id: emulator.admin.access_key_id.clone(), secret_access_key };
    load(Some(REGION), Some(&keys)).await.unwrap().into_builder().endpoint_url(&emulator.endpoint).build()
}

impl Bench {
    pub async fn new(name: &str) -> Self {
        Self::on(Emulator::start(Mode::Strict, &Delays::none()), name, BucketName::Standard).await
    }

    pub async fn on(emulator: impl Into<Arc<Emulator>>, name: &str, bucket: BucketName) -> Self {
        let emulator = emulator.into();
        let config = config(&emulator).await;
        let cluster =
            ClusterId { name: name.to_owned(), region: REGION.to_owned(), account_id: emulator.account.clone() };
        Self { cloud: AwsCloud::new(Clients::new(&config), bucket, Arc::new(Echo)), cluster, config, emulator }
    }

    /// Another cluster, or the same with another idea of its bucket, in the same account.
    pub async fn beside(&self, name: &str, bucket: BucketName) -> Self {
        Self::on(Arc::clone(&self.emulator), name, bucket).await
    }

    pub fn wanted(&self, key: &Key, resource: Concrete) -> Wanted {
        let mut tags = BTreeMap::new();
        if resource.kind().taggable() {
            tags.insert(CLUSTER_TAG.to_owned(), self.cluster.name.clone());
            tags.insert(RESOURCE_TAG.to_owned(), key.as_str().to_owned());
            tags.insert("team".to_owned(), "ml".to_owned());
        }
        Wanted { key: key.clone(), tags, resource }
    }

    pub async fn observe(&self, kind: Kind) -> Vec<Observed> {
        self.cloud.observe(&self.cluster, kind).await.unwrap()
    }

    pub async fn find(&self, key: &Key, kind: Kind) -> Option<Observed> {
        let mut found: Vec<_> = self.observe(kind).await.into_iter().filter(|found| found.key == *key).collect();
        assert!(found.len() < 2, "{found:#?}");
        found.pop()
    }

    pub async fn create(&self, key: &Key, resource: Concrete) -> Ids {
        let wanted = self.wanted(key, resource);
        self.cloud.create(&self.cluster, &wanted).await.unwrap_or_else(|error| panic!("{key}: {error:?}"))
    }

    /// What has to be done about it, as `provision` sees it.
    pub fn changes(&self, wanted: &Wanted, found: &Observed) -> Vec<Change> {
        let mut known = |id: String| Ok::<_, std::convert::Infallible>(Link::Known(id));
        let resource = wanted.resource.clone().try_map(&mut known).unwrap();
        let node = Node { key: wanted.key.clone(), tags: wanted.tags.clone(), resource, after: BTreeSet::new() };
        let nodes = BTreeMap::from([(wanted.key.clone(), node)]);
        let plan = diff(&Graph { cluster: self.cluster.clone(), nodes }, std::slice::from_ref(found)).unwrap();
        let mut entries = plan.entries.into_iter();
        match entries.next().unwrap().choice {
            Choice::Keep => Vec::new(),
            Choice::Update { changes } => changes,
            other => panic!("{}: {other:#?}\nwanted {wanted:#?}\nfound {found:#?}", wanted.key),
        }
    }

    /// Makes it and finds it as wanted; the same after each of the changes, of which each has to be seen; and removes it.
    pub async fn life(&self, key: &Key, resource: Concrete, changed: Vec<Concrete>) {
        self.born(key, resource, changed).await;
        self.gone(key).await;
    }

    pub async fn born(&self, key: &Key, resource: Concrete, changed: Vec<Concrete>) -> Ids {
        let kind = resource.kind();
        assert_eq!(self.find(key, kind).await, None);
        let ids = self.create(key, resource.clone()).await;
        let mut wanted = self.wanted(key, resource);
        let found = self.find(key, kind).await.unwrap_or_else(|| panic!("{key} was made and is not seen"));
        assert_eq!(self.changes(&wanted, &found), [], "{key} as made");
        assert_eq!(ids.id, found.ids.id);
        for resource in changed {
            wanted.resource = resource;
            self.change(&wanted).await;
        }
        if kind.taggable() {
            wanted.tags.insert("team".to_owned(), "data".to_owned());
            wanted.tags.insert("cost.center".to_owned(), "7".to_owned());
            self.change(&wanted).await;
        }
        ids
    }

    /// Twice: it does no harm.
    pub async fn change(&self, wanted: &Wanted) {
        let (key, kind) = (&wanted.key, wanted.resource.kind());
        let found = self.find(key, kind).await.unwrap();
        let changes = self.changes(wanted, &found);
        assert!(!changes.is_empty(), "{key}: nothing to change for {wanted:#?}");
        for _ in 0..2 {
            let result = self.cloud.update(&self.cluster, &found, wanted, &changes).await;
            result.unwrap_or_else(|error| panic!("{key}: {changes:?}: {error:?}"));
        }
        let found = self.find(key, kind).await.unwrap();
        assert_eq!(self.changes(wanted, &found), [], "{key} after {changes:?}");
    }

    /// Twice: what is gone already is no error.
    pub async fn gone(&self, key: &Key) {
        let kind = kind_of(key);
        let found = self.find(key, kind).await.unwrap();
        for _ in 0..2 {
            let result = self.cloud.delete(&self.cluster, &found).await;
            result.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        }
        assert_eq!(self.find(key, kind).await, None);
    }
}

pub fn key(kind: Kind, parts: &[&str]) -> Key {
    Key::new(kind, parts)
}

fn kind_of(key: &Key) -> Kind {
    let name = key.as_str().split('/').next().unwrap();
    *Kind::WANTED.iter().chain(Kind::GROWN).find(|kind| kind.as_str() == name).unwrap()
}
