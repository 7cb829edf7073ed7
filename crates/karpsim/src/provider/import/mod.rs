//! Making catalogues out of what a cloud's own command line prints.

pub mod aws;
mod aws_prices;
pub mod price_series;

pub use aws_prices::SpotPrice;
