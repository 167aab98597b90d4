//! `stock://` branches: units that a branch of any transaction holds, and how that ends.

use std::sync::Arc;

use crate::{
    clock::Clock,
    model::{
        Gid,
        flash::{Buyer, Line, Sale, SaleId},
    },
    store::{
        Store, StoreError,
        flash::{FlashStore, Refusal, Reserve, Reserved, Settle, Settled},
    },
};

use super::Flash;

/// A branch `stock://<sale>/<item>?take=n&buyer=b` of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockBranch {
    /// Of which sale.
    pub sale: SaleId,
    /// What it takes.
    pub line: Line,
    /// Who buys.
    pub buyer: Buyer,
    /// The transaction.
    pub gid: Gid,
    /// Which of its branches.
    pub branch_id: String,
}

impl<S: Store + FlashStore, K: Clock> Flash<S, K> {
    /// Holds the branch's units: its action or try. A repeat is answered as the first call was.
    ///
    /// # Errors
    /// As the store's.
    pub async fn hold(&self, branch: &StockBranch) -> Result<Reserved, StoreError> {
        let StockBranch { line, buyer, .. } = branch;
        let lines = std::iter::once((line.item.as_str(), line.take));
        if let Some(item) = self.sold_out(branch.sale.as_str(), buyer.as_str(), lines) {
            return Ok(Reserved::Refused(Refusal::SoldOut(item)));
        }
        let Some(sale) = self.sale(&branch.sale).await? else {
            return Ok(Reserved::Refused(Refusal::UnknownSale));
        };
        let reserve = self.reserve(&sale, branch);
        let mut drawing = self.drawing(&sale, buyer, std::slice::from_ref(line));
        let mut is_told = false;
        loop {
            drawing.tries(self.clock.monotonic());
            let reserved = self.store.hold(reserve.clone()).await?;
            if reserved == Reserved::Refused(Refusal::UnknownSale) && !is_told {
                is_told = true;
                self.sales.define(&sale).await?;
                continue;
            }
            let Reserved::Refused(Refusal::SoldOut(_)) = reserved else { return Ok(reserved) };
            if !self.after_sold_out(&mut drawing).await? {
                return Ok(reserved);
            }
        }
    }

    /// Ends the branch's hold: its confirm sells, its compensation or cancel gives back. A repeat
    /// is answered as the first call was. "No such sale" is never said from memory: of a sale that
    /// was just made the branch may hold something.
    ///
    /// # Errors
    /// As the store's.
    pub async fn settle(&self, branch: &StockBranch, how: Settle) -> Result<Settled, StoreError> {
        let sale = match self.sale(&branch.sale).await? {
            Some(sale) => sale,
            None => match self.sales.read(&branch.sale).await? {
                Some(sale) => sale,
                None => return Ok(Settled::UnknownSale),
            },
        };
        let settled = self.store.settle(self.reserve(&sale, branch), how).await?;
        if settled != Settled::UnknownSale {
            return Ok(settled);
        }
        // Whoever made the sale died before it told the bucket.
        self.sales.define(&sale).await?;
        self.store.settle(self.reserve(&sale, branch), how).await
    }

    fn reserve(&self, sale: &Arc<Sale>, branch: &StockBranch) -> Reserve {
        Reserve {
            bucket: sale.bucket_of(&branch.buyer, self.store.shard_count()),
            gid: branch.gid.clone(),
            branch_id: branch.branch_id.clone(),
            buyer: branch.buyer.clone(),
            line: branch.line.clone(),
        }
    }
}
