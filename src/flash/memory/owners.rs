//! Who has a reservation in a sale, and so may be owed a stored answer.

use std::sync::Arc;

use crate::{
    model::{spread, stable_hash},
    store::flash::BucketBooks,
};

/// The most buyers that are remembered of one sale: 32 MB. With more, the script answers.
pub(super) const OWNERS_MAX: usize = 4 << 20;

/// With more new ones than this in a bucket, they are put among the others.
const NEW_MAX: usize = 4_096;

/// The hashes of all buyers with a reservation, up to a look at each bucket.
#[derive(Clone)]
pub(super) struct Owners {
    /// By bucket.
    buckets: Vec<OfBucket>,
}

#[derive(Clone)]
struct OfBucket {
    /// In order.
    read: Arc<[u64]>,
    /// Those who took units later, in order.
    new: Vec<u64>,
    /// Late takes up to the look.
    late_takes: u64,
}

impl Owners {
    /// Those of each bucket that were read after these looks.
    pub(super) fn new(read: Vec<Vec<u64>>, looks: &[BucketBooks]) -> Self {
        let of_bucket = |(mut read, look): (Vec<u64>, &BucketBooks)| {
            read.sort_unstable();
            read.dedup();
            OfBucket { read: read.into(), new: Vec::new(), late_takes: look.late_takes }
        };
        Self { buckets: read.into_iter().zip(looks).map(of_bucket).collect() }
    }

    /// Up to how many late takes they are known, of each bucket.
    pub(super) fn late_takes(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|bucket| bucket.late_takes)
    }

    /// With the late takers of these looks; `None` if not all of them are told, or they are too many.
    pub(super) fn with(&self, looks: &[BucketBooks]) -> Option<Self> {
        let pairs = self.buckets.iter().zip(looks);
        let buckets: Vec<_> =
            pairs.map(|(bucket, look)| bucket.with(look)).collect::<Option<_>>()?;
        let n_owners: usize = buckets.iter().map(|it| it.read.len() + it.new.len()).sum();
        (n_owners <= OWNERS_MAX).then_some(Self { buckets })
    }

    pub(super) fn has(&self, buyer: &str) -> bool {
        let hash = stable_hash(buyer);
        let bucket = self.buckets.get(spread(buyer, self.buckets.len()));
        bucket.is_some_and(|it| {
            [&it.read[..], &it.new].iter().any(|all| all.binary_search(&hash).is_ok())
        })
    }
}

impl OfBucket {
    fn with(&self, look: &BucketBooks) -> Option<Self> {
        let n_new = look.late_takes.checked_sub(self.late_takes)?;
        if n_new != look.late_takers.len() as u64 {
            return None;
        }
        let mut all = Self { late_takes: look.late_takes, ..self.clone() };
        if n_new > 0 {
            all.new.extend(look.late_takers.iter().map(|buyer| stable_hash(buyer)));
            all.new.sort_unstable();
            all.new.dedup();
        }
        if all.new.len() > NEW_MAX {
            let mut read = [&all.read[..], &all.new].concat();
            read.sort_unstable();
            all.read = read.into();
            all.new = Vec::new();
        }
        Some(all)
    }
}
