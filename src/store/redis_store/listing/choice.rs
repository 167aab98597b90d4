//! Which of those that a step found are asked for: first a look at each of them without its body,
//! then the whole of those that the page takes.

use futures_util::future::join_all;

use crate::model::{Gid, Mode, Status, Timestamp};

use super::{
    super::{
        super::{StoreError, codec::mode_of},
        reads,
    },
    Pager, Spot,
    asking::{ask_all, command},
};

/// A page that has large bodies of so many bytes together takes no more transactions.
const LARGE_BYTES_MAX: u64 = 8 << 20;

/// One that is asked for.
struct Chosen {
    gid: Gid,
    after: Spot,
    is_large: bool,
}

impl Pager<'_> {
    /// Adds to the page those of `found` that are asked for. If the page is full before all are
    /// looked at, answers the place after the last one that was.
    pub(super) async fn choose(
        &mut self,
        found: Vec<(Gid, Spot)>,
        is_due: bool,
    ) -> Result<Option<Spot>, StoreError> {
        let mut chosen = self.looked_at(found, is_due).await?;
        let n_free = self.limit - self.page.transactions.len();
        let mut is_full = false;
        if chosen.len() > n_free {
            chosen.truncate(n_free);
            is_full = true;
        }
        let n_light = self.light(&chosen).await?;
        if n_light < chosen.len() {
            chosen.truncate(n_light);
            is_full = true;
        }
        let whole = join_all(chosen.iter().map(|it| reads::query(self.store, &it.gid))).await;
        for stored in whole {
            match stored {
                Ok(Some(stored)) if self.filter.takes_stored(&stored) => {
                    self.page.transactions.push(stored);
                }
                // It changed or expired since.
                Ok(_) => {}
                Err(StoreError::Unreadable { gid, message }) => unreadable(&gid, &message),
                Err(error) => return Err(error),
            }
        }
        Ok(if is_full { chosen.pop().map(|last| last.after) } else { None })
    }

    /// Those of `found` that are asked for, as far as a look at their states tells.
    async fn looked_at(
        &self,
        found: Vec<(Gid, Spot)>,
        is_due: bool,
    ) -> Result<Vec<Chosen>, StoreError> {
        let looks = found.iter().map(|(gid, _)| {
            let mut look = command("HMGET", self.store.keys.of(gid).transaction(gid));
            look.arg("c").arg("s");
            look
        });
        let looks: Vec<(Option<String>, Option<Vec<u8>>)> =
            ask_all(self.store, looks.collect()).await?;
        let mut chosen = Vec::new();
        for ((gid, after), (created_at, packed)) in found.into_iter().zip(looks) {
            // Gone: its retention is over.
            let (Some(created_at), Some(packed)) = (created_at, packed) else { continue };
            let Some(head) = Head::read(&created_at, &packed) else {
                unreadable(&gid, "its state is damaged");
                continue;
            };
            // A finished one's gid can be that of a new one by now, which is in a due set.
            let is_here = is_due || head.status.is_final();
            if is_here && self.filter.takes(head.status, head.mode, head.created_at) {
                chosen.push(Chosen { gid, after, is_large: head.is_large });
            }
        }
        Ok(chosen)
    }

    /// How many of `chosen`, from the first on, the page can hold in memory; at least one.
    async fn light(&mut self, chosen: &[Chosen]) -> Result<usize, StoreError> {
        let large = chosen.iter().enumerate().filter(|(_, it)| it.is_large);
        let (numbers, lengths): (Vec<usize>, Vec<_>) = large
            .map(|(number, it)| {
                (number, command("STRLEN", self.store.keys.of(&it.gid).body(&it.gid)))
            })
            .unzip();
        let lengths: Vec<u64> = ask_all(self.store, lengths).await?;
        for (number, length) in numbers.into_iter().zip(lengths) {
            if self.n_large_bytes + length > LARGE_BYTES_MAX && number > 0 {
                return Ok(number);
            }
            self.n_large_bytes += length;
        }
        Ok(chosen.len())
    }

    /// Whether it takes no more transactions, for the memory that they need.
    pub(super) fn is_heavy(&self) -> bool {
        self.n_large_bytes >= LARGE_BYTES_MAX
    }
}

/// What of a transaction is told without its body.
struct Head {
    status: Status,
    mode: Mode,
    is_large: bool,
    created_at: Timestamp,
}

impl Head {
    /// Reads it from what is stored; `None` if that is damaged.
    fn read(created_at: &str, packed: &[u8]) -> Option<Self> {
        let letter = |at: usize| packed.get(at).copied().map(char::from);
        let mode = letter(1)?;
        Some(Self {
            status: Status::from_letter(letter(0)?)?,
            mode: mode_of(mode)?,
            is_large: mode.is_ascii_lowercase(),
            created_at: Timestamp::from_us(created_at.parse().ok()?),
        })
    }
}

/// One that cannot be read is left out, so that the others can still be listed.
fn unreadable(gid: &Gid, why: &str) {
    tracing::warn!(%gid, why, "left out of the listing: it cannot be read");
}
