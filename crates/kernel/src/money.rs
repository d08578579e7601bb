//! Amounts of money: exact whole numbers of a ten-thousandth of the currency's unit, written as decimal texts.
//!
//! Never a floating point number: `0.1 + 0.2` is `0.3` here. Ten-thousandths do for every currency's smallest coin (some have
//! three decimals, some none) and for rates below it.

/// How many parts a unit of a currency has here.
pub const PARTS: i64 = 10_000;
/// How many digits an amount has behind the point at most.
pub const DECIMALS: usize = 4;
/// How many digits an amount has before the point at most.
pub const MAX_DIGITS: usize = 12;

/// An amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// In ten-thousandths of the currency's unit.
    pub amount: i64,
    /// The currency: a code of ISO 4217, such as `EUR`.
    pub currency: String,
}

/// Reads an amount: an optional `-`, 1 to [`MAX_DIGITS`] digits, and behind a point up to [`DECIMALS`] more.
pub fn parse_amount(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=MAX_DIGITS).contains(&whole.len()) || fraction.len() > DECIMALS || !plain(whole) || !plain(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
    let amount = whole.checked_mul(PARTS)?.checked_add(fraction)?;
    Some(if negative { -amount } else { amount })
}

/// Writes an amount with at least two digits behind the point, and no more than it has: `42.50`, `0.0125`.
pub fn format_amount(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.unsigned_abs();
    let parts = PARTS.unsigned_abs();
    let mut fraction = format!("{:0DECIMALS$}", amount % parts);
    while fraction.len() > 2 && fraction.ends_with('0') {
        fraction.pop();
    }
    format!("{sign}{}.{fraction}", amount / parts)
}

/// Whether this is a currency that ISO 4217 lists as being in use.
pub fn is_currency(code: &str) -> bool {
    CURRENCIES.contains(&code)
}

/// The currencies in use, by ISO 4217; funds, metals and codes for tests are not among them.
const CURRENCIES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CUP",
    "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP",
    "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD",
    "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LYD",
    "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN",
    "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB",
    "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL",
    "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES",
    "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, amount) in [
            ("0", 0),
            ("85", 850_000),
            ("85.5", 855_000),
            ("0.0125", 125),
            ("-3.10", -31_000),
            ("999999999999.9999", 9_999_999_999_999_999),
        ] {
            assert_eq!(parse_amount(text), Some(amount), "{text}");
        }
        for wrong in ["", "-", ".5", "5.", "1.00000", "1e3", "1,5", " 1", "+1", "1000000000000", "0x1", "1.-5", "--1"] {
            assert_eq!(parse_amount(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_amount_is_written_as_it_is_read() {
        for (amount, text) in [(0, "0.00"), (850_000, "85.00"), (855_000, "85.50"), (125, "0.0125"), (-31_000, "-3.10")]
        {
            assert_eq!(format_amount(amount), text);
            assert_eq!(parse_amount(text), Some(amount));
        }
    }

    #[test]
    fn currencies_are_those_in_use() {
        assert!(is_currency("EUR") && is_currency("JPY"));
        for wrong in ["eur", "EURO", "XXX", "XAU", "DEM", ""] {
            assert!(!is_currency(wrong), "{wrong}");
        }
        assert!(CURRENCIES.is_sorted());
    }
}
