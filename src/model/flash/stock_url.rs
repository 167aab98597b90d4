//! `stock://<sale>/<item>?take=n&buyer=b`: units of an item, as the URL of a branch.

use std::fmt;

use super::{Buyer, CartError, IdError, ItemId, Line, SaleId, UNITS_MAX};

/// With which the URL of a stock branch begins, and no other.
pub const STOCK_SCHEME: &str = "stock://";

/// The units that a branch takes for a buyer, sells or gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockUrl {
    /// Of which sale.
    pub sale: SaleId,
    /// Which item, and how many units of it.
    pub line: Line,
    /// For whom.
    pub buyer: Buyer,
}

/// Why a text is no URL of a stock branch. Its text goes on from the name of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockUrlError {
    /// It has no sale and item, or more than that.
    #[error("must read {STOCK_SCHEME}SALE/ITEM?take=N&buyer=BUYER")]
    Form,
    /// One of its names is none.
    #[error("{part} {why}")]
    Id {
        /// Which part.
        part: &'static str,
        /// Why it is none.
        why: IdError,
    },
    /// A parameter is missing.
    #[error("{0} is missing: write ?take=N&buyer=BUYER")]
    Missing(&'static str),
    /// A parameter is there twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
    /// There is a parameter that means nothing here.
    #[error("has a parameter that is unknown: the known ones are take and buyer")]
    Unknown,
    /// The units are no number, or none that can be taken.
    #[error("take must be a whole number from 1 to {UNITS_MAX}")]
    Take,
    /// It has a fragment, which no URL that is called has.
    #[error("must have no fragment: write a # of the buyer as %23")]
    Fragment,
    /// Clients mean a plus by it, or a space: nobody can know.
    #[error("buyer: write a plus as %2B and a space as %20")]
    Plus,
    /// A percent sign without two hexadecimal digits, or what they stand for is not UTF-8.
    #[error("buyer must be UTF-8 with % and two hexadecimal digits for each other byte")]
    Escape,
}

impl StockUrl {
    /// Reads `url` if it is one of stock; `None` if it is another one.
    ///
    /// # Errors
    /// See [`StockUrlError`].
    pub fn read(url: &str) -> Option<Result<Self, StockUrlError>> {
        Some(Self::read_rest(url.strip_prefix(STOCK_SCHEME)?))
    }

    /// Reads what stands behind the scheme.
    fn read_rest(rest: &str) -> Result<Self, StockUrlError> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (sale, item) = path.split_once('/').ok_or(StockUrlError::Form)?;
        let (mut take, mut buyer) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, slot) = match name {
                "take" => ("take", &mut take),
                "buyer" => ("buyer", &mut buyer),
                _ => return Err(StockUrlError::Unknown),
            };
            if slot.replace(value).is_some() {
                return Err(StockUrlError::Twice(name));
            }
        }
        let buyer = buyer.map(unescaped).transpose()?;
        Self::of_parts(sale, item, take, buyer.as_deref())
    }

    /// Checks the parts of one; `buyer` is as the buyer is called, not escaped.
    ///
    /// # Errors
    /// See [`StockUrlError`].
    pub fn of_parts(
        sale: &str,
        item: &str,
        take: Option<&str>,
        buyer: Option<&str>,
    ) -> Result<Self, StockUrlError> {
        let id = |part| move |why| StockUrlError::Id { part, why };
        let sale = SaleId::new(sale).map_err(id("the sale"))?;
        let item = ItemId::new(item).map_err(id("the item"))?;
        let take = units(take.ok_or(StockUrlError::Missing("take"))?).ok_or(StockUrlError::Take)?;
        let buyer = buyer.ok_or(StockUrlError::Missing("buyer"))?;
        let buyer = Buyer::new(buyer).map_err(id("buyer"))?;
        let line = Line::new(item, take).map_err(|_| StockUrlError::Take)?;
        Ok(Self { sale, line, buyer })
    }
}

impl fmt::Display for StockUrl {
    /// The URL: ids need no escaping, a buyer does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sale, line, buyer } = self;
        for piece in [STOCK_SCHEME, sale.as_str(), "/", line.item.as_str(), "?take="] {
            f.write_str(piece)?;
        }
        line.take.fmt(f)?;
        f.write_str("&buyer=")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
        // Most buyers are plain as a whole.
        if buyer.as_str().chars().all(is_plain) {
            return f.write_str(buyer.as_str());
        }
        for piece in buyer.as_str().split_inclusive(|c| !is_plain(c)) {
            let plain = piece.trim_end_matches(|c| !is_plain(c));
            f.write_str(plain)?;
            for byte in piece.bytes().skip(plain.len()) {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Digits alone: `+1`, which a number may be read from, is none.
fn units(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn unescaped(text: &str) -> Result<String, StockUrlError> {
    if text.contains('#') {
        return Err(StockUrlError::Fragment);
    }
    if text.contains('+') {
        return Err(StockUrlError::Plus);
    }
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or(StockUrlError::Escape)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        bytes.push(byte.ok_or(StockUrlError::Escape)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| StockUrlError::Escape)
}

impl Line {
    /// So many units of `item`.
    ///
    /// # Errors
    /// When there are none, or more than can be counted.
    pub fn new(item: ItemId, take: u64) -> Result<Self, CartError> {
        if (1..=UNITS_MAX).contains(&take) {
            Ok(Self { item, take })
        } else {
            Err(CartError::BadTake { item, take })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<StockUrl, StockUrlError> {
        StockUrl::read(url).unwrap()
    }

    #[test]
    fn a_url_of_stock_names_units_and_a_buyer() {
        let url = read("stock://spring/shoe?take=2&buyer=j%C3%BCrgen%20%2B%26").unwrap();
        assert_eq!((url.sale.as_str(), url.line.item.as_str()), ("spring", "shoe"));
        assert_eq!((url.line.take, url.buyer.as_str()), (2, "jürgen +&"));
        assert_eq!(url.to_string(), "stock://spring/shoe?take=2&buyer=j%C3%BCrgen%20%2B%26");
        assert_eq!(read("stock://s/i?buyer=b&take=1").unwrap().line.take, 1);
        assert_eq!(StockUrl::read("http://spring/shoe?take=2&buyer=b"), None);
        assert_eq!(StockUrl::read(""), None);
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        use StockUrlError::{Escape, Form, Fragment, Id, Missing, Plus, Take, Twice, Unknown};
        let empty = |part| Id { part, why: IdError::Empty };
        let bad = |part| Id { part, why: IdError::BadCharacter };
        for (url, error) in [
            ("stock://", Form),
            ("stock://spring?take=1&buyer=b", Form),
            ("stock:///shoe?take=1&buyer=b", empty("the sale")),
            ("stock://spring/?take=1&buyer=b", empty("the item")),
            ("stock://spring/a/b?take=1&buyer=b", bad("the item")),
            ("stock://spring/a%20b?take=1&buyer=b", bad("the item")),
            ("stock://spring:80/shoe?take=1&buyer=b", bad("the sale")),
            ("stock://spring/shoe", Missing("take")),
            ("stock://spring/shoe?take=1", Missing("buyer")),
            ("stock://spring/shoe?take=1&buyer=", empty("buyer")),
            ("stock://spring/shoe?take=1&buyer=b&buyer=b", Twice("buyer")),
            ("stock://spring/shoe?take=1&buyer=b&sale=x", Unknown),
            ("stock://spring/shoe?take=1&buyer=b#x&", Fragment),
            ("stock://spring/shoe?take=0&buyer=b", Take),
            ("stock://spring/shoe?take=&buyer=b", Take),
            ("stock://spring/shoe?take=-1&buyer=b", Take),
            ("stock://spring/shoe?take=1.5&buyer=b", Take),
            ("stock://spring/shoe?take=9007199254740992&buyer=b", Take),
            ("stock://spring/shoe?take=1&buyer=a+b", Plus),
            ("stock://spring/shoe?take=1&buyer=%", Escape),
            ("stock://spring/shoe?take=1&buyer=%+1", Plus),
            ("stock://spring/shoe?take=1&buyer=%zz", Escape),
            ("stock://spring/shoe?take=1&buyer=%ü", Escape),
            ("stock://spring/shoe?take=1&buyer=%ff", Escape),
            ("stock://spring/shoe?take=1&buyer=%00", Id { part: "buyer", why: IdError::Control }),
        ] {
            assert_eq!(read(url), Err(error), "{url}");
        }
    }
}
